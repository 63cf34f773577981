// SPDX-License-Identifier: Apache-2.0
//
// Views of a task in the formats of /proc (proc(5)): what is known is printed exactly as
// the kernel prints it, what is not known is left out.

#ifndef CRFS_INDEX_VIEWS_H_
#define CRFS_INDEX_VIEWS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "index/index.h"
#include "index/object_cache.h"

namespace crfs {

// Any thread. NOT_FOUND if there is no such task; other errors are those of Index.

// /proc/PID/maps; empty for a task without memory.
absl::StatusOr<std::string> MapsText(const Index& index, const ObjectCache& objects,
                                     uint64_t task_id);
// /proc/PID/status: Name to Groups, NStgid, NSpid, THP_enabled, Threads, the signal sets,
// Cap*, NoNewPrivs, Seccomp.
absl::StatusOr<std::string> StatusText(const Index& index, const ObjectCache& objects,
                                       uint64_t task_id);

}  // namespace crfs

#endif  // CRFS_INDEX_VIEWS_H_
