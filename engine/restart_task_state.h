// SPDX-License-Identifier: Apache-2.0
//
// What user space gives a task in the making: directories, descriptors, limits, timers. All of
// it is done by the task itself.

#ifndef CRFS_ENGINE_RESTART_TASK_STATE_H_
#define CRFS_ENGINE_RESTART_TASK_STATE_H_

#include <sys/time.h>

#include "engine/raw_call.h"
#include "engine/restart_plan.h"
#include "engine/restart_tasks.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

inline constexpr int kFailedExit = 97;

[[noreturn]] inline void Exit(int status) {
  for (;;) RawCall(SYS_exit_group, status);
}

// Each step ends the task if it fails, after it has told the board.
class TaskState {
 public:
  TaskState(const TaskMaking& making, const TaskPlan& plan)
      : making_(making), plan_(plan), task_(making.checkpoint.Get("task", plan.id)) {}

  // Before the directories: /proc may be out of sight from there.
  void SetOomScore() const;
  void SetDirectories() const;
  // What is inherited goes, but for what the threads need to join.
  void SetDescriptors() const;
  // Puts the kernel's own mappings where they were. From here on, the C library must not ask
  // for the time.
  void MoveVdso() const;
  // What tasks that it makes would inherit, or its descriptors would be too many for.
  void SetTask() const;

  // `field` is a string literal.
  [[noreturn]] void Fail(const char* field, int error) const { FailIn(field, task_, error); }

 private:
  [[noreturn]] void FailIn(const char* field, const ObjectView& object, int error) const;
  void SetOwner(const ObjectView& fd) const;
  void SetLimits() const;
  void SetTimer(__itimer_which which, const char* value, const char* interval) const;

  const TaskMaking& making_;
  const TaskPlan& plan_;
  const ObjectView task_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_TASK_STATE_H_
