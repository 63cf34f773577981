// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_task.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "engine/blocked_signals.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "engine/ptrace_interrupted.h"

namespace crfs {
namespace {

// A thread of the task that has no user mode cannot be ptraced, nor need it be.
bool IsWorker(pid_t pid, pid_t tid) {
  constexpr uint64_t kIoWorker = 0x10, kUserWorker = 0x4000;  // PF_* of linux/sched.h
  constexpr int kFlags = 9;
  const absl::StatusOr<ProcStat> stat = ProcStat::Read(pid, tid);
  return stat.ok() && (stat->Number(kFlags) & (kIoWorker | kUserWorker)) != 0;
}

// The kernel's function that a thread sleeps in; "0": it does not, or nobody may know.
std::string ReadWchan(pid_t pid, pid_t tid) {
  return ReadProcFile(ProcPath(pid, absl::StrCat("task/", tid, "/wchan"))).value_or("");
}

class Stopper {
 public:
  explicit Stopper(pid_t pid) { task_.pid = pid; }

  // A running thread may make others until it stops: all are looked for until none is new.
  absl::StatusOr<StoppedTask> Stop() {
    for (bool changed = true; changed;) {
      const absl::StatusOr<size_t> found = SeizeNew();
      if (!found.ok()) return found.status();
      changed = *found != 0;
    }
    if (task_.threads.empty()) {
      return absl::NotFoundError(absl::StrCat("task ", task_.pid, ": has ended"));
    }
    std::sort(task_.threads.begin(), task_.threads.end(),
              [](const StoppedThread& a, const StoppedThread& b) {
                return a.trace.tid() < b.trace.tid();
              });
    return std::move(task_);
  }

 private:
  absl::StatusOr<size_t> SeizeNew() {
    const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(task_.pid);
    if (!tids.ok()) return tids.status();
    struct Seized {
      TracedThread trace;
      std::string wchan;
    };
    std::vector<Seized> seized;
    for (const pid_t tid : *tids) {
      if (seen_.contains(tid)) continue;
      absl::StatusOr<TracedThread> thread = TracedThread::Seize(task_.pid, tid);
      if (absl::IsNotFound(thread.status())) continue;  // it ends, or its number is another's soon
      if (absl::IsPermissionDenied(thread.status()) && IsWorker(task_.pid, tid)) {
        seen_.insert(tid);
        task_.workers.push_back(tid);
        continue;
      }
      if (!thread.ok()) return thread.status();
      seen_.insert(tid);
      std::string wchan = ReadWchan(task_.pid, tid);
      const absl::Status status = thread->Interrupt();
      if (absl::IsNotFound(status)) continue;
      if (!status.ok()) return status;
      seized.push_back({*std::move(thread), std::move(wchan)});
    }
    for (auto& [thread, wchan] : seized) {
      absl::Status status = thread.WaitUntilStopped();
      absl::StatusOr<user_regs_struct> registers;
      if (status.ok()) registers = Look(thread, wchan);
      if (status.ok()) status = registers.status();
      if (absl::IsNotFound(status)) continue;
      if (!status.ok()) return status;
      task_.threads.push_back({std::move(thread), *registers, std::move(wchan)});
    }
    return seized.size();
  }

  // The registers of a thread that stands. One that was about to go on with a sleep that had been
  // interrupted before has to sleep again: while it does, it can be seen where
  // (ptrace_interrupted.h).
  static absl::StatusOr<user_regs_struct> Look(TracedThread& thread, std::string& wchan) {
    constexpr int kTries = 20;
    absl::StatusOr<user_regs_struct> registers = thread.Registers();
    for (int i = 0; i < kTries && registers.ok(); ++i) {
      if (registers->orig_rax != SYS_restart_syscall || NamesSleep(wchan) ||
          thread.in_group_stop() || static_cast<long>(registers->rax) != -kRestartBlock) {
        break;
      }
      if (absl::Status status = thread.Continue(); !status.ok()) return status;
      ::usleep(1000);
      wchan = ReadWchan(thread.pid(), thread.tid());
      if (absl::Status status = thread.Interrupt(); !status.ok()) return status;
      if (absl::Status status = thread.WaitUntilStopped(); !status.ok()) return status;
      registers = thread.Registers();
    }
    // That of the signal which stopped it before is the program's own.
    if (registers.ok() && !thread.in_group_stop() && HideInterruption(*registers)) {
      if (absl::Status status = thread.SetRegisters(*registers); !status.ok()) return status;
    }
    return registers;
  }

  StoppedTask task_;
  absl::flat_hash_set<pid_t> seen_;
};

}  // namespace

bool StoppedTask::in_group_stop() const {
  return std::any_of(threads.begin(), threads.end(),
                     [](const StoppedThread& thread) { return thread.trace.in_group_stop(); });
}

size_t StoppedTask::representative() const {
  for (size_t i = 0; i < threads.size(); ++i) {
    if (threads[i].trace.tid() == pid) return i;
  }
  return 0;
}

absl::StatusOr<StoppedTask> StopTask(pid_t pid) {
  // A thread whose call has been interrupted must not be left before HideInterruption.
  const BlockedSignals blocked;
  return Stopper(pid).Stop();
}

}  // namespace crfs
