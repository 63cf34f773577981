// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_task.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
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
    if (std::none_of(task_.threads.begin(), task_.threads.end(),
                     [this](const StoppedThread& t) { return t.trace.tid() == task_.pid; })) {
      return absl::FailedPreconditionError(
          absl::StrCat("task ", task_.pid,
                       ": its first thread has ended before the others: "
                       "use the kernel engine (--engine kernel)"));
    }
    return std::move(task_);
  }

 private:
  absl::StatusOr<size_t> SeizeNew() {
    const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(task_.pid);
    if (!tids.ok()) return tids.status();
    std::vector<TracedThread> seized;
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
      const absl::Status status = thread->Interrupt();
      if (absl::IsNotFound(status)) continue;
      if (!status.ok()) return status;
      seized.push_back(*std::move(thread));
    }
    for (TracedThread& thread : seized) {
      absl::Status status = thread.WaitUntilStopped();
      if (absl::IsNotFound(status)) continue;
      if (!status.ok()) return status;
      absl::StatusOr<user_regs_struct> registers = thread.Registers();
      if (absl::IsNotFound(registers.status())) continue;
      if (!registers.ok()) return registers.status();
      if (HideInterruption(*registers)) {
        status = thread.SetRegisters(*registers);
        if (!status.ok()) return status;
      }
      task_.threads.push_back({std::move(thread), *registers});
    }
    return seized.size();
  }

  StoppedTask task_;
  absl::flat_hash_set<pid_t> seen_;
};

}  // namespace

bool StoppedTask::in_group_stop() const {
  return std::any_of(threads.begin(), threads.end(),
                     [](const StoppedThread& thread) { return thread.trace.in_group_stop(); });
}

absl::StatusOr<StoppedTask> StopTask(pid_t pid) { return Stopper(pid).Stop(); }

}  // namespace crfs
