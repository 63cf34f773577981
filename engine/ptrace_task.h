// SPDX-License-Identifier: Apache-2.0
//
// A task that ptrace(2) has stopped, with all of its threads.

#ifndef CRFS_ENGINE_PTRACE_TASK_H_
#define CRFS_ENGINE_PTRACE_TASK_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_thread.h"

namespace crfs {

struct StoppedThread {
  TracedThread trace;
  user_regs_struct registers;  // as it stands; an interrupted call begins again (HideInterruption)
  std::string wchan;           // the kernel's function that it slept in before (proc(5))
};

struct StoppedTask {
  pid_t pid = 0;
  bool zombie = false;                 // then there are no threads
  std::vector<StoppedThread> threads;  // ascending by tid
  std::vector<pid_t> workers;          // threads that run in the kernel alone (io_uring)

  // Whether it was stopped by a signal before.
  bool in_group_stop() const;
  // Which of the threads stands for what all of them share: the first of the task. If that has
  // ended before the others, another one: of the dead there is little to see in /proc.
  size_t representative() const;
};

// Stops all threads of a task; on an error all go on. Errors as TracedThread.
absl::StatusOr<StoppedTask> StopTask(pid_t pid);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_TASK_H_
