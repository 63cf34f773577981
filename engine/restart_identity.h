// SPDX-License-Identifier: Apache-2.0
//
// What each thread has of its own and sets by itself: name, scheduling, credentials. Prepared
// in the coordinator, where memory may be allocated; applied by the thread with raw system
// calls.

#ifndef CRFS_ENGINE_RESTART_IDENTITY_H_
#define CRFS_ENGINE_RESTART_IDENTITY_H_

#include <linux/capability.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/restart_board.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

struct CredPlan {
  uint64_t id = 0;  // of the cred object
  uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
  std::vector<gid_t> groups;
  uint64_t inheritable, permitted, effective, bounding, ambient, securebits;
};

// sched_setattr(2); glibc has no such struct yet.
struct SchedAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

struct ThreadPlan {
  uint64_t id = 0;  // of the thread object
  pid_t tid = 0;
  bool zombie = false;
  bool zombie_task = false;
  uint32_t exit_code = 0;  // of a zombie, as wait(2) gives it
  uint64_t sigmask = 0;    // for a zombie: the module gives it to others
  std::array<char, 16> comm{};
  SchedAttributes sched{};
  std::vector<uint64_t> cpus;  // a mask
  uint32_t ioprio = 0;
  uint64_t timerslack = 0;
  uint32_t personality = 0;
  uint32_t pdeath_signal = 0;  // it has this from when it joins
  bool no_new_privs = false;
  uint32_t waits_in = 0;  // CRFS_restart_block_*: the kind of call that it is to wait in
  CredPlan cred;
};

// What the calling process has; every new task begins with it.
CredPlan OwnCred();

ThreadPlan PlanThread(const LoadedCheckpoint& checkpoint, const ObjectView& thread);

// By the thread itself; `own` is what it has so far. Tells the board what cannot be set. False:
// it has failed.
bool ApplyThread(const ThreadPlan& plan, const CredPlan& own, Board& board);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_IDENTITY_H_
