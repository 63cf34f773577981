// SPDX-License-Identifier: Apache-2.0
//
// Who makes whom in a restart, and who leads which session and process group: worked out
// before the first task is made.

#ifndef CRFS_ENGINE_RESTART_PLAN_H_
#define CRFS_ENGINE_RESTART_PLAN_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "index/loaded_checkpoint.h"

namespace crfs {

struct LostSession;

struct TaskPlan {
  uint64_t id = 0;  // of the task object
  pid_t pid = 0;
  bool zombie = false;
  std::vector<TaskPlan> children;  // made by this task, by ascending pid
  // Its parent's other children that are in the session it leads: made by it, as siblings
  // (CLONE_PARENT).
  std::vector<TaskPlan> siblings;
  std::vector<LostSession> lost_sessions;  // of children whose session leaders are gone
  bool leads_session = false;
  // Whether the session that it is in was made before its own: children that are to be in that
  // one are made before setsid(2).
  bool in_parents_session = false;
  bool shares_files = false;    // with its maker (CLONE_FILES)
  bool shares_fs = false;       // likewise (CLONE_FS)
  bool shares_mm = false;       // likewise (CLONE_VM)
  bool shares_sighand = false;  // likewise (CLONE_SIGHAND)
  pid_t pgid = 0;               // 0: stays in the group that it is made in
  // Process groups of its session whose leaders are gone: made by children that lead them for
  // as long as others join.
  std::vector<pid_t> lost_leaders;
};

// Made by a child of the parent of its members that leads it until all have their groups.
struct LostSession {
  pid_t sid = 0;
  std::vector<TaskPlan> members;  // made by the leader, as siblings
};

struct RestartPlan {
  TaskPlan root;
  uint32_t tasks = 0;
  uint32_t threads = 0;
};

// What cannot be made is added to `problems`; the plan is then not to be used. The checkpoint
// must have its root.
RestartPlan PlanRestart(const LoadedCheckpoint& checkpoint, Problems& problems);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_PLAN_H_
