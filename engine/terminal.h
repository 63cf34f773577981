// SPDX-License-Identifier: Apache-2.0
//
// The terminal of the caller, and which process group is in its foreground (tcsetpgrp(3)).

#ifndef CRFS_ENGINE_TERMINAL_H_
#define CRFS_ENGINE_TERMINAL_H_

#include <sys/types.h>

#include <optional>
#include <utility>

#include "index/unique_fd.h"

namespace crfs {

// A program's process group in the foreground in place of the caller's; the latter is put back
// when this is destroyed.
class ForegroundGroup {
 public:
  // nullopt: the caller is not in the foreground of a terminal, or the task is in its group
  // already, or in another session. `task` must exist.
  static std::optional<ForegroundGroup> Give(pid_t task);

  ForegroundGroup(ForegroundGroup&&) = default;
  ForegroundGroup& operator=(ForegroundGroup&&) = delete;
  ~ForegroundGroup();

  // The program's group stays in the foreground.
  void Keep() { terminal_.reset(); }

 private:
  ForegroundGroup(UniqueFd terminal, pid_t group) : terminal_(std::move(terminal)), group_(group) {}

  UniqueFd terminal_;
  pid_t group_;
};

// Puts the caller's group in the foreground again, if it is the group `group` that is there, or
// one that has ended: whoever else has the terminal keeps it.
void TakeForeground(pid_t group);

// A new description of the caller's controlling terminal, by its own name if it has one that
// can be opened (/dev/tty otherwise), with these flags of open(2). Invalid: there is none.
UniqueFd OpenControllingTerminal(int flags);

// Whether the caller has a terminal: a person looks at it.
bool HasTerminal();

}  // namespace crfs

#endif  // CRFS_ENGINE_TERMINAL_H_
