// SPDX-License-Identifier: Apache-2.0
//
// Restarting a checkpoint: its tasks are made again, all stopped, each state is restored, and
// they go on together.

#ifndef CRFS_ENGINE_RESTART_H_
#define CRFS_ENGINE_RESTART_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/blocked_signals.h"
#include "engine/engine.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// `--fd PID:FD=N`: descriptor `number` of the caller in place of descriptor `fd` of task `pid`.
// All descriptors of the checkpoint that share the open file of `fd` get it, in every task.
struct GivenFd {
  pid_t pid;
  int fd;
  int number;
};

struct RestartOptions {
  Engine engine = Engine::kAuto;
  std::vector<GivenFd> fds;
  // In a pid namespace of its own, so that no pid is taken. /proc is mounted for it, in a mount
  // namespace of its own.
  bool pid_namespace = false;
  // Called now and then: bytes of memory restored, and all of them.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// Everything that can be found wrong before a task is made, each as one problem with the path
// of the file of the tree at fault (LoadedCheckpoint::Where): states that cannot be restarted,
// a machine that differs (rows with restart `check`), files that are not there, have changed
// or may not be opened, pids that are taken, rights that the caller does not have, descriptors
// that were not given. Makes and changes nothing. May be called from any thread.
void CheckRestart(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
                  Problems& problems);

// Tasks that run again. The root task is a child of the caller, or, in a pid namespace, of the
// namespace's first task, which is; it ends when the root task has.
struct Restarted {
  pid_t root;   // its pid as the caller sees it
  pid_t child;  // the caller's child to wait for: `root`, or that first task, which ends as
                // `root` did: with its exit status, or by its signal
  // The caller's signals, which wait for AwaitEnd: none can end a caller who is about to pass
  // it on. Without a wait they come when this is destroyed.
  std::unique_ptr<BlockedSignals> signals;
};

// Restarts a checkpoint in which CheckRestart found no problem; its memory is verified on the
// way. Whatever fails, also the caller's death half-way, leaves nothing running and nothing
// made; the message names the file of the tree at fault. The caller must have no other threads,
// and must not be a session leader whose terminal the program is to have.
absl::StatusOr<Restarted> Restart(const LoadedCheckpoint& checkpoint,
                                  const RestartOptions& options);

// Waits until the root task has ended, and meanwhile passes on to it the signals that a
// terminal or a user sends to the caller. Returns the exit status that the caller should have:
// that of the task, or 128 + the number of the signal that ended it.
absl::StatusOr<int> AwaitEnd(const Restarted& restarted);

// The same, and calls `act` again and again: `every` after the call of AwaitEnd, and after the
// beginning of each call of it; what it has missed it leaves out. Signals wait until it returns.
struct Meanwhile {
  absl::Duration every;
  std::function<void()> act;
};
absl::StatusOr<int> AwaitEnd(const Restarted& restarted, const Meanwhile& meanwhile);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_H_
