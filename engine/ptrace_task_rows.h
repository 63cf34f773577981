// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_PTRACE_TASK_ROWS_H_
#define CRFS_ENGINE_PTRACE_TASK_ROWS_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/proc_status.h"
#include "engine/ptrace_answers.h"
#include "engine/ptrace_task.h"
#include "index/record.h"

namespace crfs {

// The rows of a task, but for its references. `mem` is open on its memory, of a zombie -1.
absl::Status FillTask(const StoppedTask& stopped, const TaskAnswers& answers, int mem,
                      ObjectBuilder& task);

// As wait(2) gives it, of a zombie.
uint32_t ExitCode(pid_t pid);

// UNIMPLEMENTED: this kernel does not tell of POSIX timers (timer_create(2)).
absl::StatusOr<bool> HasPosixTimers(pid_t pid);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_TASK_ROWS_H_
