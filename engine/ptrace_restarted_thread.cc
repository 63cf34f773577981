// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_restarted_thread.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/ptrace_answers.h"

namespace crfs {
namespace {

constexpr uint64_t kNsecInSec = 1'000'000'000;
constexpr uint64_t kNsecInMsec = 1'000'000;
constexpr uint64_t kSetSize = sizeof(uint64_t);  // of a sigset_t of the kernel
constexpr uint64_t kRseqCsOffset = 8;            // struct rseq: cpu_id_start, cpu_id, rseq_cs
constexpr size_t kSigInfoSize = 128;
constexpr size_t kSigInfoFields = 16;  // where those of an image begin

timespec TimeOf(uint64_t ns) {
  return {.tv_sec = static_cast<time_t>(ns / kNsecInSec),
          .tv_nsec = static_cast<long>(ns % kNsecInSec)};
}

timeval MicrosecondsOf(uint64_t ns) {
  // Rounded up: 0 would be no time at all.
  const uint64_t us = ns / 1000 + (ns % 1000 != 0 ? 1 : 0);
  return {.tv_sec = static_cast<time_t>(us / 1'000'000),
          .tv_usec = static_cast<suseconds_t>(us % 1'000'000)};
}

bool IsRestart(long result) { return result <= -kRestartSys && result >= -kRestartBlock; }

}  // namespace

absl::Status RestartedThread::Do(const ObjectView& object, absl::string_view field, long number,
                                 std::initializer_list<uint64_t> arguments) {
  return puppet_.Do(
      absl::StrCat(field.empty() ? checkpoint_->Where(object) : checkpoint_->Where(object, field),
                   ": cannot be restored"),
      number, arguments);
}

absl::Status RestartedThread::LeaveSequence() {
  const RestartableSequence own = puppet_.sequence();
  if (own.address == 0) return absl::OkStatus();
  constexpr uint64_t kUnregister = 1;  // RSEQ_FLAG_UNREGISTER
  return Do(thread_, "", SYS_rseq, {own.address, own.length, kUnregister, own.signature});
}

// ---- signals ------------------------------------------------------------------------------------

absl::Status RestartedThread::DropSignals() {
  const struct {
    uint64_t set;
    timespec timeout;
  } wait = {.set = ~uint64_t{0}, .timeout = {}};
  const absl::StatusOr<uint64_t> at = space_->PutValue(wait);
  if (!at.ok()) return at.status();
  for (;;) {
    const absl::StatusOr<long> signal =
        puppet_.Call(SYS_rt_sigtimedwait, {*at, 0, *at + sizeof(wait.set), kSetSize});
    if (!signal.ok()) return signal.status();
    if (*signal < 0) return absl::OkStatus();  // EAGAIN: there is none
  }
}

absl::Status RestartedThread::SetActions(const ObjectView& sighand) {
  SignalActions actions = {};
  for (const uint64_t id : checkpoint_->Owned("sigaction", sighand.id())) {
    const ObjectView action = checkpoint_->Get("sigaction", id);
    actions[action.KeyNumber() - 1] = {.handler = action.Number("handler"),
                                       .flags = action.Number("flags"),
                                       .restorer = action.Number("restorer"),
                                       .mask = action.Number("mask")};
  }
  const absl::StatusOr<uint64_t> at = space_->PutValue(actions);
  if (!at.ok()) return at.status();
  for (uint64_t signal = 1; signal <= kSignalMax; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    absl::Status status = Do(sighand, "", SYS_rt_sigaction,
                             {signal, *at + (signal - 1) * sizeof(SignalAction), 0, kSetSize});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// A thread may send itself whatever it likes (rt_sigqueueinfo(2)).
absl::Status RestartedThread::Queue(const ObjectView& signal, uint64_t task,
                                    std::optional<uint64_t> thread) {
  std::string info(kSigInfoSize, '\0');
  const auto put = [&info](size_t offset, uint64_t value) {
    const auto number = static_cast<int32_t>(value);
    std::memcpy(info.data() + offset, &number, sizeof(number));
  };
  put(0, signal.Number("signo"));
  put(4, signal.Number("errno_"));
  put(8, signal.Number("code"));
  const absl::string_view fields = signal.Bytes("fields");
  fields.copy(info.data() + kSigInfoFields, kSigInfoSize - kSigInfoFields);
  const absl::StatusOr<uint64_t> at = space_->Put(info);
  if (!at.ok()) return at.status();
  const uint64_t number = signal.Number("signo");
  return thread.has_value()
             ? Do(signal, "signo", SYS_rt_tgsigqueueinfo, {task, *thread, number, *at})
             : Do(signal, "signo", SYS_rt_sigqueueinfo, {task, number, *at});
}

absl::Status RestartedThread::QueueTaskSignals(const ObjectView& task) {
  for (const uint64_t id : checkpoint_->Owned("signal", task.id())) {
    absl::Status status = Queue(checkpoint_->Get("signal", id), task.KeyNumber(), std::nullopt);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RestartedThread::QueueOwnSignals() {
  const ObjectView task = checkpoint_->Get("task", thread_.OwnerId());
  for (const uint64_t id : checkpoint_->Owned("thread_signal", thread_.id())) {
    absl::Status status =
        Queue(checkpoint_->Get("thread_signal", id), task.KeyNumber(), thread_.KeyNumber());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RestartedThread::SetTimer(const ObjectView& task) {
  const uint64_t value = task.Number("itimer_real_value");
  if (value == 0) return absl::OkStatus();
  const itimerval timer = {.it_interval = MicrosecondsOf(task.Number("itimer_real_interval")),
                           .it_value = MicrosecondsOf(value)};
  const absl::StatusOr<uint64_t> at = space_->PutValue(timer);
  if (!at.ok()) return at.status();
  return Do(task, "itimer_real_value", SYS_setitimer, {ITIMER_REAL, *at, 0});
}

// ---- places that the kernel knows of ------------------------------------------------------------

absl::Status RestartedThread::SetPlaces() {
  const struct {  // stack_t
    uint64_t sp;
    uint32_t flags;
    uint32_t pad;
    uint64_t size;
  } stack = {
      .sp = thread_.Number("altstack_sp"),
      // Whether it is on it the kernel sees for itself.
      .flags = static_cast<uint32_t>(thread_.Number("altstack_flags")) & ~uint32_t{SS_ONSTACK},
      .pad = 0,
      .size = thread_.Number("altstack_size")};
  const absl::StatusOr<uint64_t> at = space_->PutValue(stack);
  if (!at.ok()) return at.status();
  const bool has_stack = stack.size != 0;
  absl::Status status =
      has_stack ? Do(thread_, "altstack_sp", SYS_sigaltstack, {*at, 0}) : absl::OkStatus();
  constexpr uint64_t kSetDeathSignal = 1;  // PR_SET_PDEATHSIG
  status.Update(
      Do(thread_, "pdeath_signal", SYS_prctl, {kSetDeathSignal, thread_.Number("pdeath_signal")}));
  constexpr uint64_t kRobustHeadSize = 24;
  status.Update(Do(thread_, "robust_list", SYS_set_robust_list,
                   {thread_.Number("robust_list"), kRobustHeadSize}));
  status.Update(
      Do(thread_, "clear_child_tid", SYS_set_tid_address, {thread_.Number("clear_child_tid")}));
  const uint64_t sequence = thread_.Number("rseq_address");
  if (!status.ok() || sequence == 0) return status;
  char section[sizeof(critical_section_)];
  if (status = space_->Read(sequence + kRseqCsOffset, section); !status.ok()) return status;
  std::memcpy(&critical_section_, section, sizeof(section));
  return Do(thread_, "rseq_address", SYS_rseq,
            {sequence, thread_.Number("rseq_length"), 0, thread_.Number("rseq_signature")});
}

// ---- interrupted calls --------------------------------------------------------------------------

absl::Status RestartedThread::EnterCall() {
  if (thread_.Number("syscall_restart") == CRFS_syscall_restart_block) {
    const absl::StatusOr<long> result = Sleep();
    if (!result.ok()) return result.status();
    if (!IsRestart(*result)) result_ = *result;
    return absl::OkStatus();
  }
  if (thread_.Number("restore_sigmask") == 0) return puppet_.Settle();
  // rt_sigsuspend(2) leaves behind what any such call does: the mask of the time of the call, and
  // the one that comes back after it.
  if (absl::Status status = puppet_.SetSignalMask(thread_.Number("saved_sigmask")); !status.ok()) {
    return status;
  }
  const absl::StatusOr<uint64_t> at = space_->PutValue(thread_.Number("sigmask"));
  if (!at.ok()) return at.status();
  return puppet_.CallInterrupted(SYS_rt_sigsuspend, {*at, kSetSize}).status();
}

// The call itself, with the time that is left, as the kernel's own restart would go on with it.
absl::StatusOr<long> RestartedThread::Sleep() {
  const uint64_t remaining = thread_.Number("syscall_remaining");
  switch (thread_.Number("syscall_block")) {
    case CRFS_restart_block_poll:
      return Poll(remaining);
    case CRFS_restart_block_futex:
      return WaitForFutex(remaining);
    default:
      return SleepUntil(remaining);
  }
}

absl::StatusOr<long> RestartedThread::SleepUntil(uint64_t remaining) {
  const absl::StatusOr<uint64_t> at = space_->PutValue(TimeOf(remaining));
  if (!at.ok()) return at.status();
  return puppet_.CallInterrupted(SYS_clock_nanosleep, {thread_.Number("syscall_clock"), 0, *at,
                                                       thread_.Number("syscall_address")});
}

absl::StatusOr<long> RestartedThread::Poll(uint64_t remaining) {
  const bool has_timeout = thread_.Number("syscall_flags") != 0;
  const uint64_t ms =
      has_timeout ? std::min<uint64_t>(
                        remaining / kNsecInMsec + (remaining % kNsecInMsec != 0 ? 1 : 0), INT32_MAX)
                  : ~uint64_t{0};
  return puppet_.CallInterrupted(
      SYS_poll, {thread_.Number("syscall_address"), thread_.Number("syscall_value"), ms});
}

absl::StatusOr<long> RestartedThread::WaitForFutex(uint64_t remaining) {
  timespec now;
  ::clock_gettime(static_cast<clockid_t>(thread_.Number("syscall_clock")), &now);
  const uint64_t end = static_cast<uint64_t>(now.tv_sec) * kNsecInSec +
                       static_cast<uint64_t>(now.tv_nsec) + remaining;
  const absl::StatusOr<uint64_t> at = space_->PutValue(TimeOf(std::min<uint64_t>(end, INT64_MAX)));
  if (!at.ok()) return at.status();
  const uint64_t operation = FUTEX_WAIT_BITSET | thread_.Number("syscall_flags");
  return puppet_.CallInterrupted(
      SYS_futex, {thread_.Number("syscall_address"), operation, thread_.Number("syscall_value"),
                  *at, 0, thread_.Number("syscall_bitset")});
}

// ---- the end ------------------------------------------------------------------------------------

user_regs_struct RestartedThread::Registers() const {
  const auto row = [this](absl::string_view field) { return thread_.Number(field); };
  user_regs_struct registers = {};
  registers.r15 = row("r15");
  registers.r14 = row("r14");
  registers.r13 = row("r13");
  registers.r12 = row("r12");
  registers.rbp = row("rbp");
  registers.rbx = row("rbx");
  registers.r11 = row("r11");
  registers.r10 = row("r10");
  registers.r9 = row("r9");
  registers.r8 = row("r8");
  registers.rax = row("rax");
  registers.rcx = row("rcx");
  registers.rdx = row("rdx");
  registers.rsi = row("rsi");
  registers.rdi = row("rdi");
  registers.orig_rax = row("orig_rax");
  registers.rip = row("rip");
  registers.cs = row("cs");
  registers.eflags = row("eflags");
  registers.rsp = row("rsp");
  registers.ss = row("ss");
  registers.fs_base = row("fs_base");
  registers.gs_base = row("gs_base");
  registers.ds = row("ds");
  registers.es = row("es");
  registers.fs = row("fs");
  registers.gs = row("gs");
  if (result_.has_value()) {
    registers.rax = static_cast<uint64_t>(*result_);
    registers.orig_rax = ~uint64_t{0};
  }
  return registers;
}

absl::Status RestartedThread::Finish() {
  const auto named = [this](absl::string_view field, const absl::Status& status) {
    if (status.ok()) return status;
    return absl::Status(status.code(),
                        absl::StrCat(checkpoint_->Where(thread_, field), ": ", status.message()));
  };
  absl::Status status = named("fpu", puppet_.SetExtendedState(thread_.Bytes("fpu")));
  status.Update(named("rip", puppet_.SetRegisters(Registers())));
  if (critical_section_ != 0) {
    status.Update(space_->Write(thread_.Number("rseq_address") + kRseqCsOffset,
                                absl::string_view(reinterpret_cast<const char*>(&critical_section_),
                                                  sizeof(critical_section_))));
  }
  // ptrace(2) takes it that who sets a mask wants no other to come back.
  if (thread_.Number("restore_sigmask") == 0) {
    status.Update(named("sigmask", puppet_.SetSignalMask(thread_.Number("sigmask"))));
  }
  return status;
}

}  // namespace crfs
