// SPDX-License-Identifier: Apache-2.0
//
// What the threads of a restart do to hand themselves over to its engine.

#ifndef CRFS_ENGINE_RESTART_JOINING_H_
#define CRFS_ENGINE_RESTART_JOINING_H_

#include <atomic>
#include <cstdint>
#include <map>

namespace crfs {

struct Joining {
  // CRFS_IOC_JOIN goes there; -1: there is no module to call, threads just wait.
  int device = -1;
  // Descriptors that a task keeps until all threads of its table have joined.
  int first_kept = 0;
  int last_kept = 0;
  // By id of the mm: where the pid goes of a process that shares that mm, has the caller's rights,
  // and waits to be told how to rebuild it. Empty: none are wanted. In memory that tasks share
  // with the caller.
  std::map<uint64_t, std::atomic<uint32_t>*> builders;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_JOINING_H_
