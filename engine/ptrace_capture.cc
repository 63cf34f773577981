// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_capture.h"

#include <fcntl.h>

#include <cerrno>
#include <map>
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
  Answers whole;                       // of its first thread
  std::vector<PendingSignal> pending;
  size_t first = 0;  // which of the threads is the first one
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
    const std::string path = ProcPath(task.pid, "mem");
    reading.mem.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!reading.mem.valid()) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
    }
    for (size_t i = 0; i < task.threads.size(); ++i) {
      if (task.threads[i].trace.tid() == task.pid) reading.first = i;
      absl::StatusOr<ThreadReading> thread = ReadStoppedThread(task.threads[i], reading.mem.get());
      if (!thread.ok()) return thread.status();
      reading.threads.push_back(*std::move(thread));
    }
    absl::StatusOr<std::vector<PendingSignal>> pending =
        ReadPending(task.threads[reading.first].trace, true,
                    reading.threads[reading.first].status.Hex("ShdPnd"));
    if (!pending.ok()) return pending.status();
    reading.pending = *std::move(pending);
    const absl::StatusOr<uint64_t> instruction = FindSyscallInstruction(task.pid);
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
    return AskThread(thread, instruction, whole_task);
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

  absl::Status FillReferences(pid_t pid, const TaskReading& reading, ObjectBuilder& task) {
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
    for (const StoppedThread& thread : task.threads) {
      const pid_t tid = thread.trace.tid();
      for (const KcmpTable* table : {&tables_.fdtable, &tables_.fs}) {
        const absl::StatusOr<uint64_t> own = table->Find(tid), whole = table->Find(task.pid);
        if (!own.ok() || !whole.ok() || *own != *whole) return true;
      }
    }
    return false;
  }

  // ---- objects --------------------------------------------------------------------------------

  // Which threads share one credential object no interface tells; within one task the same values
  // count as one.
  absl::StatusOr<uint64_t> AddCredentials(const ProcStatus& status, uint32_t securebits,
                                          std::map<std::string, uint64_t>& known) {
    const ObjectBuilder cred = DescribeCredentials(status, securebits);
    const absl::StatusOr<std::string> body = cred.Build();
    if (!body.ok()) return body.status();
    const auto [found, added] = known.try_emplace(*body, 0);
    if (!added) return found->second;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(cred);
    if (id.ok()) found->second = *id;
    return id;
  }

  absl::Status AddTask(StoppedTask& stopped) {
    const absl::StatusOr<TaskReading> reading = Read(stopped);
    if (!reading.ok()) return reading.status();
    const ProcStatus& status = reading->threads[reading->first].status;
    ObjectBuilder task(*FindType("task"));
    absl::Status result = FillReferences(stopped.pid, *reading, task);
    if (!result.ok()) return result;
    result = FillTask(stopped, status, reading->whole.task, reading->mem.get(), task);
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
    std::map<pid_t, size_t> all;  // workers are after the others
    for (size_t i = 0; i < stopped.threads.size(); ++i) all[stopped.threads[i].trace.tid()] = i;
    for (const pid_t worker : stopped.workers) all[worker] = stopped.threads.size();
    std::map<std::string, uint64_t> creds;
    for (const auto& [tid, i] : all) {
      const bool worker = i == stopped.threads.size();
      ObjectBuilder object(*FindType("thread"));
      absl::StatusOr<ProcStatus> seen;
      if (worker) seen = ReadThreadStatus(stopped.pid, tid);
      if (worker && !seen.ok()) continue;  // it has ended
      const ProcStatus& status = worker ? *seen : reading.threads[i].status;
      const absl::StatusOr<uint64_t> cred =
          AddCredentials(status, worker ? 0 : reading.answers[i].securebits, creds);
      if (!cred.ok()) return cred.status();
      object.SetNumber("task", task).SetNumber("cred", *cred);
      absl::Status result = FillVisibleRows(stopped.pid, tid, status, object);
      if (!result.ok()) return result;
      if (worker) {
        object.SetNumber("state", CRFS_state_running)
            .SetNumber("blockers", Blocker(CRFS_blockers_io_uring));
      } else {
        result = FillStoppedRows(stopped.threads[i], reading.threads[i], reading.answers[i],
                                 reading.mem.get(), object);
        if (!result.ok()) return result;
      }
      const absl::StatusOr<uint64_t> id = snapshot_.Add(object);
      if (!id.ok()) return id.status();
      if (worker) continue;
      result = AddPending(snapshot_, "thread_signal", *id, reading.threads[i].pending);
      if (!result.ok()) return result;
    }
    return absl::OkStatus();
  }

  absl::Status AddZombie(const StoppedTask& zombie) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(zombie.pid, zombie.pid);
    if (!status.ok()) return status.status();
    ObjectBuilder task(*FindType("task"));
    absl::Status result = FillTask(zombie, *status, {}, -1, task);
    if (!result.ok()) return result;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(task);
    if (!id.ok()) return id.status();
    std::map<std::string, uint64_t> creds;
    const absl::StatusOr<uint64_t> cred = AddCredentials(*status, 0, creds);
    if (!cred.ok()) return cred.status();
    ObjectBuilder thread(*FindType("thread"));
    thread.SetNumber("task", *id)
        .SetNumber("cred", *cred)
        .SetNumber("state", CRFS_state_zombie)
        .SetNumber("exit_code", ExitCode(zombie.pid));
    result = FillVisibleRows(zombie.pid, zombie.pid, *status, thread);
    if (!result.ok()) return result;
    return snapshot_.Add(thread).status();
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
