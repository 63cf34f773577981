// SPDX-License-Identifier: Apache-2.0
//
// Makes the tasks and threads of a restart, with their ids, and has each of them take what user
// space gives a task, join, and wait to be given the rest.

#ifndef CRFS_ENGINE_RESTART_TASKS_H_
#define CRFS_ENGINE_RESTART_TASKS_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>

#include "engine/reopen_files.h"
#include "engine/restart_board.h"
#include "engine/restart_engine.h"
#include "engine/restart_identity.h"
#include "engine/restart_plan.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// What all tasks in the making know. Prepared before the first is made, and not changed then.
struct TaskMaking {
  const LoadedCheckpoint& checkpoint;
  const RestartPlan& plan;
  const ReopenedFiles& files;
  const VdsoPlans& vdsos;
  const CredPlan& own;  // of the caller
  Board& board;
  Joining joining;
  pid_t reaper;  // who gets the orphans of tasks in the making, as these see him
  // Of each table of descriptors, by its id (0: of zombies): how many threads have yet to join.
  // The last one closes what was kept.
  std::map<uint64_t, std::atomic<uint32_t>&> to_join;
};

// kNewPidNamespace: the root is the first task of one, with the pid 1, and has a mount namespace
// with the /proc of that.
enum class RootPlace { kBesideCaller, kNewPidNamespace };

// Makes the root task as a child of the caller, which makes its children, and so on. Returns
// its pid, or -1: the board tells why. The caller has no other threads, and all signals
// blocked. Dies with its parent until it has joined.
pid_t MakeRootTask(const TaskMaking& making, RootPlace place);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_TASKS_H_
