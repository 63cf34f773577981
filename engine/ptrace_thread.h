// SPDX-License-Identifier: Apache-2.0
//
// One thread under ptrace(2): seized, stopped, and let go. Signals are never sent to it, so that
// it does not see that it stood: PTRACE_SEIZE does not stop, and PTRACE_INTERRUPT puts it into a
// stop inside the kernel, before it has looked at its pending signals and before the kernel has
// decided how its interrupted system call goes on (kernel/signal.c, get_signal()).

#ifndef CRFS_ENGINE_PTRACE_THREAD_H_
#define CRFS_ENGINE_PTRACE_THREAD_H_

#include <sys/types.h>
#include <sys/user.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crfs {

// The kernel's own results of a system call that begins again (linux/errno.h of the kernel).
constexpr long kRestartSys = 512;
constexpr long kRestartNoIntr = 513;
constexpr long kRestartNoHand = 514;
constexpr long kRestartBlock = 516;

// Lets its thread go on when it is destroyed, as the kernel does if the tracer dies. To be used
// by the thread of crfs that seized it. All errors of a thread that died meanwhile are NOT_FOUND.
class TracedThread {
 public:
  // PERMISSION_DENIED: it may not be ptraced; ALREADY_EXISTS: somebody else traces it.
  // `options`: PTRACE_O_* besides TRACESYSGOOD.
  static absl::StatusOr<TracedThread> Seize(pid_t pid, pid_t tid, unsigned long options = 0);

  // A process that a thread has just made with CLONE_PTRACE: it is traced as that one is.
  static TracedThread Attached(const TracedThread& parent, pid_t pid);

  TracedThread(TracedThread&& other) noexcept;
  TracedThread& operator=(TracedThread&& other) noexcept;
  ~TracedThread() { Detach(); }

  pid_t pid() const { return pid_; }
  pid_t tid() const { return tid_; }

  // Asks it to stop; WaitUntilStopped says when it does. A thread in an uninterruptible sleep
  // does not: DEADLINE_EXCEEDED.
  absl::Status Interrupt();
  absl::Status WaitUntilStopped();
  // Lets it run, still traced.
  absl::Status Continue();
  // Whether it stands because its task was stopped by a signal; it will stay so after Detach.
  bool in_group_stop() const { return in_group_stop_; }

  // The registers as of NT_PRSTATUS; UNIMPLEMENTED for a thread that is not a 64-bit one.
  absl::StatusOr<user_regs_struct> Registers() const;
  absl::Status SetRegisters(const user_regs_struct& registers) const;
  // The extended state (NT_X86_XSTATE).
  absl::StatusOr<std::string> ExtendedState() const;

  // A filter of system calls does not see what the thread is made to call from now on; it might
  // kill it for that. FAILED_PRECONDITION: there is one, and the caller is not privileged.
  absl::Status SuspendSeccomp();
  // The kernel kills it when the tracer dies.
  absl::Status DieWithTracer();

  // Runs it up to the next edge of a system call.
  absl::Status RunToSystemCall();
  // From the exit of a system call back into a stop as after Interrupt.
  absl::Status ReturnToStop();

  // ptrace(2) itself, minus an errno for an error.
  long Ptrace(int request, unsigned long address, void* data) const;
  absl::Status Failed(long error, absl::string_view what) const;

  void Detach();
  // It has ended and has been waited for.
  void Forget() { tid_ = 0; }

 private:
  TracedThread(pid_t pid, pid_t tid) : pid_(pid), tid_(tid) {}
  // What waitpid(2) says of it; `may_sleep`: it may never answer.
  absl::StatusOr<int> Wait(bool may_sleep) const;
  absl::Status Ended();
  long SetOption(unsigned long option);

  pid_t pid_;
  pid_t tid_;  // 0: moved from, or detached
  bool in_group_stop_ = false;
  unsigned long options_ = 0;  // of PTRACE_SETOPTIONS
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_THREAD_H_
