// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_PTRACE_CAPTURE_H_
#define CRFS_ENGINE_PTRACE_CAPTURE_H_

#include <sys/types.h>

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_files.h"
#include "engine/ptrace_task.h"
#include "engine/snapshot.h"

namespace crfs {

// What the memory of a capture is read from.
struct CapturedMemory {
  std::vector<pid_t> mm_users;  // by id of the mm - 1: a task that has it
  std::unique_ptr<FileTable> files;
};

// Adds the objects of all tasks to `snapshot`, task by task in this order, with ids by first
// encounter as the module gives them (kmod/collect.c).
absl::StatusOr<CapturedMemory> CaptureTasks(std::vector<StoppedTask>& tasks, Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_CAPTURE_H_
