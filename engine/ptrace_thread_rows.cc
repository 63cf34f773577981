// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_thread_rows.h"

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/proc_file.h"
#include "engine/ptrace_call.h"
#include "engine/ptrace_interrupted.h"

namespace crfs {
namespace {

constexpr int kGetSignalMask = 0x420a;
constexpr int kGetUserDispatch = 0x4210;  // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4
constexpr unsigned long kIoPermissions = 0x201;  // NT_386_IOPERM

// Of sched_getattr(2): <linux/sched/types.h> and <sched.h> cannot both be had.
struct Scheduling {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

struct UserDispatch {
  uint64_t mode, selector, offset, length;
};

struct Register {
  absl::string_view row;
  unsigned long long user_regs_struct::*member;
};
constexpr Register kRegisters[] = {
    {"r15", &user_regs_struct::r15},         {"r14", &user_regs_struct::r14},
    {"r13", &user_regs_struct::r13},         {"r12", &user_regs_struct::r12},
    {"rbp", &user_regs_struct::rbp},         {"rbx", &user_regs_struct::rbx},
    {"r11", &user_regs_struct::r11},         {"r10", &user_regs_struct::r10},
    {"r9", &user_regs_struct::r9},           {"r8", &user_regs_struct::r8},
    {"rax", &user_regs_struct::rax},         {"rcx", &user_regs_struct::rcx},
    {"rdx", &user_regs_struct::rdx},         {"rsi", &user_regs_struct::rsi},
    {"rdi", &user_regs_struct::rdi},         {"orig_rax", &user_regs_struct::orig_rax},
    {"rip", &user_regs_struct::rip},         {"cs", &user_regs_struct::cs},
    {"eflags", &user_regs_struct::eflags},   {"rsp", &user_regs_struct::rsp},
    {"ss", &user_regs_struct::ss},           {"fs_base", &user_regs_struct::fs_base},
    {"gs_base", &user_regs_struct::gs_base}, {"ds", &user_regs_struct::ds},
    {"es", &user_regs_struct::es},           {"fs", &user_regs_struct::fs},
    {"gs", &user_regs_struct::gs},
};

bool ReadMem(int mem, uint64_t address, void* buffer, size_t length) {
  return ::pread(mem, buffer, length, static_cast<off_t>(address)) == static_cast<ssize_t>(length);
}

uint32_t ReadBlockers(const TracedThread& thread, const ProcStatus& status) {
  uint32_t blockers = 0;
  unsigned long control = 0;  // of the debug registers: which are on
  constexpr unsigned long kOn = 0xff;
  const unsigned long place = offsetof(struct user, u_debugreg) + 7 * sizeof(control);
  if (thread.Ptrace(PTRACE_PEEKUSER, place, &control) == 0 && (control & kOn) != 0) {
    blockers |= Blocker(CRFS_blockers_debug_registers);
  }
  std::string bitmap(8 << 10, '\0');
  iovec ports = {bitmap.data(), bitmap.size()};
  if (thread.Ptrace(PTRACE_GETREGSET, kIoPermissions, &ports) == 0 && ports.iov_len != 0) {
    blockers |= Blocker(CRFS_blockers_ioperm);
  }
  UserDispatch dispatch = {};
  if (thread.Ptrace(kGetUserDispatch, sizeof(dispatch), &dispatch) == 0 && dispatch.mode != 0) {
    blockers |= Blocker(CRFS_blockers_syscall_dispatch);
  }
  for (const absl::string_view feature :
       absl::StrSplit(status.Text("x86_Thread_features"), ' ', absl::SkipEmpty())) {
    if (feature == "shstk") blockers |= Blocker(CRFS_blockers_shadow_stack);
  }
  return blockers;
}

// 0 where it has none of its own.
uint32_t IoPriority(pid_t tid) {
  constexpr int kProcess = 1, kClassShift = 13;  // IOPRIO_WHO_PROCESS
  const long priority = ::syscall(SYS_ioprio_get, kProcess, tid);
  return priority < 0 || priority >> kClassShift == 0 ? 0 : static_cast<uint32_t>(priority);
}

}  // namespace

absl::StatusOr<ThreadReading> ReadStoppedThread(const StoppedThread& thread, int mem) {
  const TracedThread& trace = thread.trace;
  const auto read = [mem](uint64_t address, void* buffer, size_t length) {
    return ReadMem(mem, address, buffer, length);
  };
  ThreadReading reading;
  absl::StatusOr<ProcStatus> status = ReadThreadStatus(trace.pid(), trace.tid());
  if (!status.ok()) return status.status();
  reading.status = *std::move(status);
  // The mask that is asked for is the one to be restored, if there is one; the other shows what is
  // blocked now.
  uint64_t mask = 0;
  const long result = trace.Ptrace(kGetSignalMask, sizeof(mask), &mask);
  if (result != 0) return trace.Failed(result, "its blocked signals cannot be read");
  reading.sigmask = reading.status.Hex("SigBlk");
  reading.restore_sigmask = mask != reading.sigmask || SleepsWithOtherMask(thread.registers, read);
  if (reading.restore_sigmask) reading.saved_sigmask = mask;
  absl::StatusOr<std::string> extended = trace.ExtendedState();
  if (!extended.ok()) return extended.status();
  reading.extended_state = *std::move(extended);
  absl::StatusOr<std::vector<PendingSignal>> pending =
      ReadPending(trace, false, reading.status.Hex("SigPnd"));
  if (!pending.ok()) return pending.status();
  reading.pending = *std::move(pending);
  reading.blockers = ReadBlockers(trace, reading.status);
  return reading;
}

absl::Status FillVisibleRows(pid_t pid, pid_t tid, const ProcStatus& status,
                             ObjectBuilder& object) {
  const std::string folder = absl::StrCat("task/", tid, "/");
  absl::StatusOr<std::string> comm = ReadProcFile(ProcPath(pid, absl::StrCat(folder, "comm")));
  if (!comm.ok()) return comm.status();
  Scheduling scheduling = {};
  if (::syscall(SYS_sched_getattr, tid, &scheduling, sizeof(scheduling), 0) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("task ", pid, ", thread ", tid, ": its scheduling cannot be read"));
  }
  constexpr uint64_t kResetOnFork = 1;  // SCHED_FLAG_RESET_ON_FORK
  constexpr long kNiceOffset = 20;      // the raw call has no negative results
  const long nice = kNiceOffset - ::syscall(SYS_getpriority, PRIO_PROCESS, tid);
  const std::string personality =
      ReadProcFile(ProcPath(pid, absl::StrCat(folder, "personality"))).value_or("");
  uint32_t persona = 0;
  (void)absl::SimpleHexAtoi(absl::StripAsciiWhitespace(personality), &persona);
  object.SetNumber("tid", static_cast<uint64_t>(tid))
      .SetBytes("nstid", PackNumbers(status.Numbers("NSpid")))
      .SetBytes("comm", absl::StripSuffix(*comm, "\n"))
      .SetNumber("policy", scheduling.policy)
      .SetNumber("nice", static_cast<uint64_t>(nice))
      .SetNumber("priority", scheduling.priority)
      .SetNumber("reset_on_fork", (scheduling.flags & kResetOnFork) != 0 ? 1 : 0)
      .SetBytes("cpus", MaskBytes(status.Text("Cpus_allowed")))
      .SetNumber("ioprio", IoPriority(tid))
      .SetNumber("personality", persona)
      .SetNumber("seccomp", status.Number("Seccomp"))
      .SetNumber("no_new_privs", status.Number("NoNewPrivs"))
      .SetNumber("syscall_nr", static_cast<uint64_t>(int64_t{-1}));
  return absl::OkStatus();
}

absl::Status FillStoppedRows(const StoppedThread& thread, const ThreadReading& reading,
                             const ThreadAnswers& answers, int mem, ObjectBuilder& object) {
  const auto read = [mem](uint64_t address, void* buffer, size_t length) {
    return ReadMem(mem, address, buffer, length);
  };
  for (const Register& reg : kRegisters) object.SetNumber(reg.row, thread.registers.*reg.member);
  uint64_t robust_list = 0;
  size_t robust_size = 0;
  if (::syscall(SYS_get_robust_list, thread.trace.tid(), &robust_list, &robust_size) != 0) {
    robust_list = 0;  // a kernel without robust futexes
  }
  const RestartableSequence rseq = GetRestartableSequence(thread.trace);
  object.SetNumber("state", thread.trace.in_group_stop() ? CRFS_state_stopped : CRFS_state_running)
      .SetNumber("blockers", reading.blockers | answers.blockers)
      .SetBytes("fpu", reading.extended_state)
      .SetNumber("sigmask", reading.sigmask)
      .SetNumber("saved_sigmask", reading.saved_sigmask)
      .SetNumber("restore_sigmask", reading.restore_sigmask ? 1 : 0)
      .SetNumber("altstack_flags", answers.altstack_flags)
      .SetNumber("altstack_sp", answers.altstack_sp)
      .SetNumber("altstack_size", answers.altstack_size)
      .SetNumber("robust_list", robust_list)
      .SetNumber("rseq_address", rseq.address)
      .SetNumber("rseq_length", rseq.length)
      .SetNumber("rseq_signature", rseq.signature)
      .SetNumber("clear_child_tid", answers.clear_child_tid)
      .SetNumber("timerslack", answers.timerslack)
      .SetNumber("pdeath_signal", answers.pdeath_signal);
  if (FillInterruptedCall(thread.registers, thread.wchan, read, object)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("task ", thread.trace.pid(), ": thread ", thread.trace.tid(),
                   " sleeps in a call that was interrupted before, and nothing tells which it is: ",
                   "try again when it has gone on, or use the kernel engine"));
}

ObjectBuilder DescribeCredentials(const ProcStatus& status, uint32_t securebits) {
  struct Ids {
    absl::string_view line;
    absl::string_view rows[4];
  };
  constexpr Ids kIds[] = {{"Uid", {"uid", "euid", "suid", "fsuid"}},
                          {"Gid", {"gid", "egid", "sgid", "fsgid"}}};
  struct Set {
    absl::string_view line, row;
  };
  constexpr Set kSets[] = {{"CapInh", "cap_inheritable"},
                           {"CapPrm", "cap_permitted"},
                           {"CapEff", "cap_effective"},
                           {"CapBnd", "cap_bounding"},
                           {"CapAmb", "cap_ambient"}};
  ObjectBuilder cred(*FindType("cred"));
  for (const Ids& ids : kIds) {
    const std::vector<uint32_t> numbers = status.Numbers(ids.line);
    for (size_t i = 0; i < numbers.size() && i < std::size(ids.rows); ++i) {
      cred.SetNumber(ids.rows[i], numbers[i]);
    }
  }
  for (const Set& set : kSets) cred.SetNumber(set.row, status.Hex(set.line));
  cred.SetBytes("groups", PackNumbers(status.Numbers("Groups")))
      .SetNumber("securebits", securebits);
  return cred;
}

}  // namespace crfs
