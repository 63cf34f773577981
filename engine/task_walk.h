// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_TASK_WALK_H_
#define CRFS_ENGINE_TASK_WALK_H_

#include <sys/types.h>

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crfs {

// Freezes the task `root` and all of its descendants, parents before children, children by
// ascending pid, through `freeze`, which is called once for each task and says whether it
// is a zombie. A frozen task gets no new children by fork, but may get some that are
// reparented to it: the walk is repeated until nothing is new. A descendant that is gone
// when its turn comes (freeze returns NOT_FOUND) is left out; any other error ends the walk
// and is returned. Returns the tasks in the order in which they were frozen.
absl::StatusOr<std::vector<pid_t>> FreezeTree(
    pid_t root, absl::FunctionRef<absl::Status(pid_t pid, bool zombie)> freeze);

}  // namespace crfs

#endif  // CRFS_ENGINE_TASK_WALK_H_
