// SPDX-License-Identifier: Apache-2.0
//
// The resource limits of a task (getrlimit(2)): which rows hold each.

#ifndef CRFS_ENGINE_LIMITS_H_
#define CRFS_ENGINE_LIMITS_H_

#include <sys/resource.h>

namespace crfs {

struct LimitRows {
  __rlimit_resource which;
  const char* soft;
  const char* hard;
};

#define CRFS_LIMIT(which, name) \
  { which, "rlimit_" name "_soft", "rlimit_" name "_hard" }
inline constexpr LimitRows kLimitRows[] = {
    CRFS_LIMIT(RLIMIT_CPU, "cpu"),
    CRFS_LIMIT(RLIMIT_FSIZE, "fsize"),
    CRFS_LIMIT(RLIMIT_DATA, "data"),
    CRFS_LIMIT(RLIMIT_STACK, "stack"),
    CRFS_LIMIT(RLIMIT_CORE, "core"),
    CRFS_LIMIT(RLIMIT_RSS, "rss"),
    CRFS_LIMIT(RLIMIT_NPROC, "nproc"),
    CRFS_LIMIT(RLIMIT_NOFILE, "nofile"),
    CRFS_LIMIT(RLIMIT_MEMLOCK, "memlock"),
    CRFS_LIMIT(RLIMIT_AS, "as"),
    CRFS_LIMIT(__RLIMIT_LOCKS, "locks"),
    CRFS_LIMIT(__RLIMIT_SIGPENDING, "sigpending"),
    CRFS_LIMIT(__RLIMIT_MSGQUEUE, "msgqueue"),
    CRFS_LIMIT(__RLIMIT_NICE, "nice"),
    CRFS_LIMIT(__RLIMIT_RTPRIO, "rtprio"),
    CRFS_LIMIT(__RLIMIT_RTTIME, "rttime"),
};
#undef CRFS_LIMIT

}  // namespace crfs

#endif  // CRFS_ENGINE_LIMITS_H_
