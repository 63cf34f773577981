// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_thread.h"

#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"

namespace crfs {
namespace {

// As long as the module waits.
constexpr absl::Duration kStopTimeout = absl::Seconds(10);
constexpr int kEventStop = 128;  // PTRACE_EVENT_STOP, which not every <sys/ptrace.h> has
constexpr int kSystemCallStop = SIGTRAP | 0x80;
constexpr unsigned long kSuspendSeccomp = 1UL << 21;  // PTRACE_O_SUSPEND_SECCOMP
constexpr size_t kStateMax = 64 << 10;

absl::Status Gone(pid_t pid) {
  return absl::NotFoundError(absl::StrCat("task ", pid, ": died while it was frozen"));
}

}  // namespace

absl::StatusOr<TracedThread> TracedThread::Seize(pid_t pid, pid_t tid, unsigned long options) {
  TracedThread thread(pid, tid);
  thread.options_ = PTRACE_O_TRACESYSGOOD | options;
  const long result = thread.Ptrace(PTRACE_SEIZE, 0, reinterpret_cast<void*>(thread.options_));
  if (result == 0) return thread;
  thread.tid_ = 0;
  if (result == -ESRCH) return Gone(pid);
  const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, tid);
  if (!status.ok() || status->State() == 'Z' || status->State() == 'X') return Gone(pid);
  if (const uint64_t tracer = status->Number("TracerPid"); tracer != 0) {
    return absl::AlreadyExistsError(absl::StrCat("task ", pid, ": is traced by process ", tracer,
                                                 ": end that first (a debugger, strace)"));
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "task ", pid, ": you may not ptrace it: run crfs as its user or as root (ptrace(2))"));
}

TracedThread TracedThread::Attached(const TracedThread& parent, pid_t pid) {
  TracedThread thread(pid, pid);
  thread.options_ = parent.options_;
  return thread;
}

TracedThread::TracedThread(TracedThread&& other) noexcept
    : pid_(other.pid_),
      tid_(std::exchange(other.tid_, 0)),
      in_group_stop_(other.in_group_stop_),
      options_(other.options_) {}

TracedThread& TracedThread::operator=(TracedThread&& other) noexcept {
  Detach();
  pid_ = other.pid_;
  tid_ = std::exchange(other.tid_, 0);
  in_group_stop_ = other.in_group_stop_;
  options_ = other.options_;
  return *this;
}

long TracedThread::Ptrace(int request, unsigned long address, void* data) const {
  // Not the library's function, which takes some results for its own.
  const long result = ::syscall(SYS_ptrace, request, tid_, address, data);
  return result < 0 ? -errno : result;
}

absl::Status TracedThread::Failed(long error, absl::string_view what) const {
  if (error == -ESRCH) return Gone(pid_);
  return absl::ErrnoToStatus(static_cast<int>(-error),
                             absl::StrCat("task ", pid_, ", thread ", tid_, ": ", what));
}

absl::Status TracedThread::Interrupt() {
  const long result = Ptrace(PTRACE_INTERRUPT, 0, nullptr);
  return result == 0 ? absl::OkStatus() : Failed(result, "cannot be interrupted");
}

absl::StatusOr<int> TracedThread::Wait(bool may_sleep) const {
  const absl::Time deadline = absl::Now() + kStopTimeout;
  long pause_ns = 2'000;
  for (;;) {
    int status;
    const pid_t waited = ::waitpid(tid_, &status, __WALL | (may_sleep ? WNOHANG : 0));
    if (waited == tid_) return status;
    if (waited < 0 && errno != EINTR) return Gone(pid_);
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("task ", pid_, ": thread ", tid_,
                       " sleeps in the kernel and cannot be frozen: see /proc/", tid_,
                       "/stack and try again when it has gone on"));
    }
    const timespec pause = {0, pause_ns};
    ::nanosleep(&pause, nullptr);
    pause_ns = std::min<long>(pause_ns * 2, 1'000'000);
  }
}

absl::Status TracedThread::Continue() {
  const long result = Ptrace(PTRACE_CONT, 0, nullptr);
  return result == 0 ? absl::OkStatus() : Failed(result, "cannot go on");
}

absl::Status TracedThread::Ended() {
  tid_ = 0;  // there is nothing to let go
  return Gone(pid_);
}

absl::Status TracedThread::WaitUntilStopped() {
  for (;;) {
    const absl::StatusOr<int> status = Wait(true);
    if (!status.ok()) return status.status();
    if (!WIFSTOPPED(*status)) return Ended();
    if (*status >> 16 == kEventStop) {
      in_group_stop_ = WSTOPSIG(*status) != SIGTRAP;
      return absl::OkStatus();
    }
    // A signal was on its way when the thread was seized: it is delivered as it would have been,
    // and the thread stops thereafter, before it runs its handler. An edge of a system call is
    // only passed.
    const int signal = WSTOPSIG(*status) == kSystemCallStop ? 0 : WSTOPSIG(*status);
    const long result =
        Ptrace(PTRACE_CONT, 0, reinterpret_cast<void*>(static_cast<unsigned long>(signal)));
    if (result != 0) return Failed(result, "cannot go on");
  }
}

long TracedThread::SetOption(unsigned long option) {
  const unsigned long options = options_ | option;
  const long result = Ptrace(PTRACE_SETOPTIONS, 0, reinterpret_cast<void*>(options));
  if (result == 0) options_ = options;
  return result;
}

absl::Status TracedThread::SuspendSeccomp() {
  const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid_, tid_);
  if (!status.ok()) return status.status();
  if (status->Number("Seccomp") == 0 || SetOption(kSuspendSeccomp) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "task ", pid_, ": thread ", tid_,
      " runs under seccomp, which only a privileged process can suspend, to ask it: run crfs as "
      "root, or start it without the filter"));
}

absl::Status TracedThread::DieWithTracer() {
  const long result = SetOption(PTRACE_O_EXITKILL);
  return result == 0 ? absl::OkStatus() : Failed(result, "cannot be tied to crfs");
}

absl::Status TracedThread::RunToSystemCall() {
  unsigned long signal = 0;
  for (;;) {
    const long result = Ptrace(PTRACE_SYSCALL, 0, reinterpret_cast<void*>(signal));
    if (result != 0) return Failed(result, "cannot make a call");
    const absl::StatusOr<int> status = Wait(false);
    if (!status.ok()) return status.status();
    if (!WIFSTOPPED(*status)) return Ended();
    if (WSTOPSIG(*status) == kSystemCallStop) return absl::OkStatus();
    // Its task is stopped or continued by somebody meanwhile: that stop is left at once. Of all
    // signals only SIGSTOP cannot be blocked, and must not be lost.
    signal = *status >> 16 == 0 ? static_cast<unsigned long>(WSTOPSIG(*status)) : 0;
  }
}

absl::Status TracedThread::ReturnToStop() {
  if (absl::Status status = Interrupt(); !status.ok()) return status;
  if (absl::Status status = Continue(); !status.ok()) return status;
  return WaitUntilStopped();
}

absl::StatusOr<user_regs_struct> TracedThread::Registers() const {
  user_regs_struct registers = {};
  iovec place = {&registers, sizeof(registers)};
  const long result = Ptrace(PTRACE_GETREGSET, NT_PRSTATUS, &place);
  if (result != 0) return Failed(result, "its registers cannot be read");
  constexpr unsigned long kUserCode64 = 0x33;  // __USER_CS
  if (place.iov_len != sizeof(registers) || registers.cs != kUserCode64) {
    return absl::UnimplementedError(
        absl::StrCat("task ", pid_, ": thread ", tid_,
                     " is not an x86-64 one: only 64-bit programs can be checkpointed"));
  }
  return registers;
}

absl::Status TracedThread::SetRegisters(const user_regs_struct& registers) const {
  user_regs_struct copy = registers;
  iovec place = {&copy, sizeof(copy)};
  const long result = Ptrace(PTRACE_SETREGSET, NT_PRSTATUS, &place);
  return result == 0 ? absl::OkStatus() : Failed(result, "its registers cannot be set");
}

absl::StatusOr<std::string> TracedThread::ExtendedState() const {
  std::string state(kStateMax, '\0');
  iovec place = {state.data(), state.size()};
  const long result = Ptrace(PTRACE_GETREGSET, NT_X86_XSTATE, &place);
  if (result != 0) return Failed(result, "its extended state cannot be read");
  state.resize(place.iov_len);
  return state;
}

void TracedThread::Detach() {
  if (tid_ != 0) Ptrace(PTRACE_DETACH, 0, nullptr);
  tid_ = 0;
}

}  // namespace crfs
