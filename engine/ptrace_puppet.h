// SPDX-License-Identifier: Apache-2.0
//
// A thread that does only what it is told: one of a task in the making, under ptrace(2), whose own
// program is over. All of its signals are blocked. It is killed when crfs dies, or when this is
// destroyed before Release.

#ifndef CRFS_ENGINE_PTRACE_PUPPET_H_
#define CRFS_ENGINE_PTRACE_PUPPET_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_call.h"
#include "engine/ptrace_thread.h"

namespace crfs {

class Puppet {
 public:
  // Takes a thread that waits in a system call; ids as the caller sees them. It makes its calls
  // with the instruction at `instruction`, which stays where it is.
  static absl::StatusOr<Puppet> Take(pid_t pid, pid_t tid, uint64_t instruction);

  Puppet(Puppet&&) = default;
  Puppet& operator=(Puppet&&) = default;
  ~Puppet();

  pid_t pid() const { return trace_.pid(); }
  pid_t tid() const { return trace_.tid(); }

  // The result of a system call, minus an errno for an error. A status is for a thread that died.
  absl::StatusOr<long> Call(long number, std::initializer_list<uint64_t> arguments);
  // The same for a call that must not fail: `what` says what it was for.
  absl::Status Do(absl::string_view what, long number, std::initializer_list<uint64_t> arguments);
  // Begins a call and interrupts it at once, so that the kernel has what it needs to go on with it:
  // -ERESTART* then. Any other result is that of a call that did not have to sleep.
  absl::StatusOr<long> CallInterrupted(long number, std::initializer_list<uint64_t> arguments);

  // Has it take part in a stop of its task, which lasts beyond Release. `takes_signal`: it is the
  // one that gets the SIGSTOP which is pending for the task.
  absl::Status EnterGroupStop(bool takes_signal);

  // For the end: what it will be when it goes on.
  absl::Status SetRegisters(const user_regs_struct& registers) {
    return trace_.SetRegisters(registers);
  }
  // `state` as an image has it, of a machine with more or fewer features than this one's.
  absl::Status SetExtendedState(absl::string_view state);
  absl::Status SetSignalMask(uint64_t mask);
  RestartableSequence sequence() const { return GetRestartableSequence(trace_); }

  // From here on it stands inside the kernel, before it decides how an interrupted call goes on.
  absl::Status Settle();
  // It outlives crfs; then it goes on.
  absl::Status Keep();
  void Release();

 private:
  Puppet(TracedThread trace, const user_regs_struct& registers, uint64_t instruction)
      : trace_(std::move(trace)), registers_(registers), instruction_(instruction) {}

  TracedThread trace_;
  user_regs_struct registers_;
  uint64_t instruction_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_PUPPET_H_
