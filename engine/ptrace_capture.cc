// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_capture.h"

#include <fcntl.h>

#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/ptrace_answers.h"
#include "engine/ptrace_call.h"
#include "engine/ptrace_mm.h"
#include "engine/ptrace_sharing.h"
#include "engine/ptrace_signals.h"
#include "engine/ptrace_task_rows.h"
#include "engine/ptrace_thread_rows.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// What is read of one task before its objects are made.
struct TaskReading {
  UniqueFd mem;
  std::vector<ThreadReading> threads;  // as StoppedTask::threads
  std::vector<ThreadAnswers> answers;  // likewise
  Answers whole;                       // of the one that stands for all
  std::vector<PendingSignal> pending;
  size_t first = 0;  // StoppedTask::representative
  pid_t tid = 0;     // its
};

class Capturer {
 public:
  explicit Capturer(Snapshot& snapshot)
      : snapshot_(snapshot), files_(std::make_unique<FileTable>(snapshot)) {}

  absl::StatusOr<CapturedMemory> Capture(std::vector<StoppedTask>& tasks) {
    for (StoppedTask& task : tasks) {
      for (const StoppedThread& thread : task.threads) frozen_.insert(thread.trace.tid());
      frozen_.insert(task.workers.begin(), task.workers.end());
      frozen_.insert(task.pid);
      const absl::Status status = task.zombie ? AddZombie(task) : AddTask(task);
      if (!status.ok()) return status;
    }
    if (absl::Status status = files_->Finish(); !status.ok()) return status;
    if (absl::Status status = NoteOutsideSharing(tables_, frozen_, snapshot_); !status.ok()) {
      return status;
    }
    absl::StatusOr<std::vector<OwnedExtent>> shmem = ShmemExtents(snapshot_, *files_);
    if (!shmem.ok()) return shmem.status();
    snapshot_.extents().insert(snapshot_.extents().begin(), shmem->begin(), shmem->end());
    return CapturedMemory{std::move(mm_users_), std::move(files_)};
  }

 private:
  // ---- reading --------------------------------------------------------------------------------

  absl::StatusOr<TaskReading> Read(StoppedTask& task) {
    TaskReading reading;
    reading.first = task.representative();
    reading.tid = task.threads[reading.first].trace.tid();
    const std::string path = ProcPath(reading.tid, "mem");
    reading.mem.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!reading.mem.valid()) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
    }
    for (size_t i = 0; i < task.threads.size(); ++i) {
      absl::StatusOr<ThreadReading> thread = ReadStoppedThread(task.threads[i], reading.mem.get());
      if (!thread.ok()) return thread.status();
      reading.threads.push_back(*std::move(thread));
    }
    absl::StatusOr<std::vector<PendingSignal>> pending =
        ReadPending(task.threads[reading.first].trace, true,
                    reading.threads[reading.first].status.Hex("ShdPnd"));
    if (!pending.ok()) return pending.status();
    reading.pending = *std::move(pending);
    const absl::StatusOr<uint64_t> instruction = FindSyscallInstruction(reading.tid);
    if (!instruction.ok()) return instruction.status();
    for (size_t i = 0; i < task.threads.size(); ++i) {
      const absl::StatusOr<Answers> answers =
          Ask(task.threads[i].trace, reading.threads[i], *instruction, i == reading.first);
      if (!answers.ok()) return answers.status();
      reading.answers.push_back(answers->thread);
      if (i == reading.first) reading.whole = *answers;
    }
    return reading;
  }

  static absl::StatusOr<Answers> Ask(TracedThread& thread, const ThreadReading& reading,
                                     uint64_t instruction, bool whole_task) {
    const std::string name = absl::StrCat("task ", thread.pid(), ": thread ", thread.tid());
    if (reading.blockers & Blocker(CRFS_blockers_syscall_dispatch)) {
      return absl::FailedPreconditionError(absl::StrCat(
          name, " has its system calls dispatched (prctl(2), ",
          "PR_SET_SYSCALL_USER_DISPATCH), which cannot be restarted: ", "start it without that"));
    }
    if (absl::Status status = thread.SuspendSeccomp(); !status.ok()) return status;
    return AskThread(thread, instruction, reading.restore_sigmask, whole_task);
  }

  // ---- what tasks may share -------------------------------------------------------------------

  template <typename Add>
  static absl::StatusOr<uint64_t> FindOrAdd(KcmpTable& table, pid_t pid, const Add& add) {
    const absl::StatusOr<uint64_t> known = table.Find(pid);
    if (!known.ok() || *known != 0) return known;
    const absl::StatusOr<uint64_t> id = add();
    if (!id.ok()) return id;
    if (absl::Status status = table.Add(pid, 0, *id); !status.ok()) return status;
    return id;
  }

  absl::StatusOr<uint64_t> AddFdtable(pid_t pid, uint64_t size) {
    const absl::StatusOr<const std::vector<FileTable::OpenDescriptor>*> descriptors =
        files_->Descriptors(pid);
    if (!descriptors.ok()) return descriptors.status();
    ObjectBuilder table(*FindType("fdtable"));
    table.SetNumber("size", size);
    const absl::StatusOr<uint64_t> id = snapshot_.Add(table);
    if (!id.ok()) return id;
    for (const FileTable::OpenDescriptor& descriptor : **descriptors) {
      const absl::StatusOr<uint64_t> file = files_->Descriptor(pid, descriptor);
      if (!file.ok()) return file;
      ObjectBuilder fd(*FindType("fd"));
      fd.SetNumber("fdtable", *id)
          .SetNumber("fd", static_cast<uint64_t>(descriptor.fd))
          .SetNumber("cloexec", descriptor.file.cloexec ? 1 : 0)
          .SetNumber("file", *file);
      if (absl::Status status = snapshot_.Add(fd).status(); !status.ok()) return status;
    }
    return id;
  }

  absl::StatusOr<uint64_t> AddFs(pid_t pid, absl::string_view umask) {
    uint64_t mask = 0;
    for (const char digit : umask) mask = mask * 8 + static_cast<uint64_t>(digit - '0');
    const absl::StatusOr<uint64_t> cwd = files_->Path(pid, "cwd");
    if (!cwd.ok()) return cwd;
    const absl::StatusOr<uint64_t> root = files_->Path(pid, "root");
    if (!root.ok()) return root;
    ObjectBuilder fs(*FindType("fs"));
    fs.SetNumber("umask", mask).SetNumber("cwd", *cwd).SetNumber("root", *root);
    return snapshot_.Add(fs);
  }

  absl::Status FillReferences(const TaskReading& reading, ObjectBuilder& task) {
    const pid_t pid = reading.tid;
    const ProcStatus& status = reading.threads[reading.first].status;
    const absl::StatusOr<uint64_t> mm = FindOrAdd(tables_.mm, pid, [&] {
      mm_users_.push_back(pid);
      return AddMm(snapshot_, *files_, pid, reading.whole.mm);
    });
    if (!mm.ok()) return mm.status();
    const absl::StatusOr<uint64_t> fdtable =
        FindOrAdd(tables_.fdtable, pid, [&] { return AddFdtable(pid, status.Number("FDSize")); });
    if (!fdtable.ok()) return fdtable.status();
    const absl::StatusOr<uint64_t> fs =
        FindOrAdd(tables_.fs, pid, [&] { return AddFs(pid, status.Text("Umask")); });
    if (!fs.ok()) return fs.status();
    const absl::StatusOr<uint64_t> sighand = FindOrAdd(
        tables_.sighand, pid, [&] { return AddSighand(snapshot_, reading.whole.actions); });
    if (!sighand.ok()) return sighand.status();
    task.SetNumber("mm", *mm)
        .SetNumber("fd", *fdtable)
        .SetNumber("fs", *fs)
        .SetNumber("sighand", *sighand);
    return absl::OkStatus();
  }

  // Threads of one task may have split what the format keeps for the task as a whole.
  bool IsSplit(const StoppedTask& task) const {
    const pid_t first = task.threads[task.representative()].trace.tid();
    for (const StoppedThread& thread : task.threads) {
      const pid_t tid = thread.trace.tid();
      for (const KcmpTable* table : {&tables_.fdtable, &tables_.fs}) {
        const absl::StatusOr<uint64_t> own = table->Find(tid), whole = table->Find(first);
        if (!own.ok() || !whole.ok() || *own != *whole) return true;
      }
    }
    return false;
  }

  // ---- objects --------------------------------------------------------------------------------

  absl::Status AddTask(StoppedTask& stopped) {
    const absl::StatusOr<TaskReading> reading = Read(stopped);
    if (!reading.ok()) return reading.status();
    ObjectBuilder task(*FindType("task"));
    absl::Status result = FillReferences(*reading, task);
    if (!result.ok()) return result;
    result = FillTask(stopped, reading->whole.task, reading->mem.get(), task);
    if (!result.ok()) return result;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(task);
    if (!id.ok()) return id.status();
    if (IsSplit(stopped)) {
      const uint64_t blockers = snapshot_.Get("task", *id).Number("blockers");
      task.SetNumber("blockers", blockers | Blocker(CRFS_blockers_shared_outside));
      result = snapshot_.Replace(*id, task);
      if (!result.ok()) return result;
    }
    result = AddPending(snapshot_, "signal", *id, reading->pending);
    if (!result.ok()) return result;
    return AddThreads(stopped, *reading, *id);
  }

  absl::Status AddThreads(const StoppedTask& stopped, const TaskReading& reading, uint64_t task) {
    std::map<pid_t, std::optional<size_t>> all;  // which of `threads`; none: a worker, or dead
    for (size_t i = 0; i < stopped.threads.size(); ++i) all[stopped.threads[i].trace.tid()] = i;
    for (const pid_t worker : stopped.workers) all.emplace(worker, std::nullopt);
    all.emplace(stopped.pid, std::nullopt);
    for (const auto& [tid, i] : all) {
      absl::Status status;
      if (i.has_value()) {
        status = AddThread(stopped.threads[*i], reading, *i, task);
      } else if (tid == stopped.pid) {
        status = AddDead(tid, task);
      } else {
        status = AddWorker(stopped.pid, tid, task);
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // What is seen of any thread from outside.
  absl::Status Describe(pid_t pid, pid_t tid, const ProcStatus& status, uint32_t securebits,
                        uint64_t task, ObjectBuilder& thread) {
    const absl::StatusOr<uint64_t> cred = snapshot_.Add(DescribeCredentials(status, securebits));
    if (!cred.ok()) return cred.status();
    thread.SetNumber("task", task).SetNumber("cred", *cred);
    return FillVisibleRows(pid, tid, status, thread);
  }

  absl::Status AddThread(const StoppedThread& stopped, const TaskReading& reading, size_t i,
                         uint64_t task) {
    const ThreadReading& own = reading.threads[i];
    ObjectBuilder thread(*FindType("thread"));
    absl::Status result = Describe(stopped.trace.pid(), stopped.trace.tid(), own.status,
                                   reading.answers[i].securebits, task, thread);
    if (!result.ok()) return result;
    result = FillStoppedRows(stopped, own, reading.answers[i], reading.mem.get(), thread);
    if (!result.ok()) return result;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(thread);
    if (!id.ok()) return id.status();
    return AddPending(snapshot_, "thread_signal", *id, own.pending);
  }

  absl::Status AddWorker(pid_t pid, pid_t tid, uint64_t task) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, tid);
    if (!status.ok()) return absl::OkStatus();  // it has ended
    ObjectBuilder thread(*FindType("thread"));
    absl::Status result = Describe(pid, tid, *status, 0, task, thread);
    if (!result.ok()) return result;
    thread.SetNumber("state", CRFS_state_running)
        .SetNumber("blockers", Blocker(CRFS_blockers_io_uring));
    return snapshot_.Add(thread).status();
  }

  // The first thread of a task that is a zombie, or whose other threads live on.
  absl::Status AddDead(pid_t pid, uint64_t task) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, pid);
    if (!status.ok()) return status.status();
    ObjectBuilder thread(*FindType("thread"));
    absl::Status result = Describe(pid, pid, *status, 0, task, thread);
    if (!result.ok()) return result;
    thread.SetNumber("state", CRFS_state_zombie).SetNumber("exit_code", ExitCode(pid));
    return snapshot_.Add(thread).status();
  }

  absl::Status AddZombie(const StoppedTask& zombie) {
    ObjectBuilder task(*FindType("task"));
    if (absl::Status status = FillTask(zombie, {}, -1, task); !status.ok()) return status;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(task);
    if (!id.ok()) return id.status();
    return AddDead(zombie.pid, *id);
  }

  Snapshot& snapshot_;
  std::unique_ptr<FileTable> files_;
  SharedTables tables_;
  std::vector<pid_t> mm_users_;
  absl::flat_hash_set<pid_t> frozen_;
};

}  // namespace

absl::StatusOr<CapturedMemory> CaptureTasks(std::vector<StoppedTask>& tasks, Snapshot& snapshot) {
  return Capturer(snapshot).Capture(tasks);
}

}  // namespace crfs
