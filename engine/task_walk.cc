// SPDX-License-Identifier: Apache-2.0

#include "engine/task_walk.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

// A task is a zombie when all of its threads are; a zombie leader with live threads is not.
absl::StatusOr<bool> IsZombie(pid_t pid) {
  const absl::StatusOr<char> state = ThreadState(pid, pid);
  if (!state.ok()) return state.status();
  if (*state != 'Z' && *state != 'X') return false;
  const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
  if (!tids.ok()) return tids.status();
  return tids->size() <= 1;
}

}  // namespace

absl::StatusOr<std::vector<pid_t>> FreezeTree(
    pid_t root, absl::FunctionRef<absl::Status(pid_t pid, bool zombie)> freeze) {
  const absl::StatusOr<bool> root_zombie = IsZombie(root);
  if (!root_zombie.ok()) {
    return absl::NotFoundError(
        absl::StrCat("task ", root, ": there is no such process: see ps -e"));
  }
  if (*root_zombie) {
    return absl::FailedPreconditionError(
        absl::StrCat("task ", root,
                     ": is a zombie, there is nothing left to checkpoint: checkpoint its parent"));
  }
  if (IsKernelThread(root).value_or(false)) {
    return absl::InvalidArgumentError(
        absl::StrCat("task ", root,
                     ": is a thread of the kernel, which cannot be checkpointed: "
                     "give the pid of a program"));
  }
  if (absl::Status status = freeze(root, false); !status.ok()) return status;
  std::vector<pid_t> tasks = {root};
  absl::flat_hash_set<pid_t> seen = {root};
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < tasks.size(); ++i) {  // grows while we walk: breadth first
      const absl::StatusOr<std::vector<pid_t>> children = ListChildren(tasks[i]);
      if (absl::IsNotFound(children.status())) continue;  // killed meanwhile
      if (!children.ok()) return children.status();
      for (const pid_t child : *children) {
        if (!seen.insert(child).second) continue;
        const absl::StatusOr<bool> zombie = IsZombie(child);
        if (!zombie.ok()) continue;  // reaped meanwhile
        const absl::Status status = freeze(child, *zombie);
        if (absl::IsNotFound(status)) continue;
        if (!status.ok()) return status;
        tasks.push_back(child);
        changed = true;
      }
    }
  }
  return tasks;
}

}  // namespace crfs
