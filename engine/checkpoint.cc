// SPDX-License-Identifier: Apache-2.0

#include "engine/checkpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/copied_memory.h"
#include "engine/frozen_tasks.h"
#include "engine/machine_rows.h"
#include "engine/mapped_files.h"
#include "engine/pipes.h"
#include "engine/proc_file.h"
#include "engine/proc_rows.h"
#include "engine/proc_status.h"
#include "engine/ptrace_tracer.h"
#include "engine/same_credentials.h"
#include "engine/task_walk.h"
#include "engine/unsupported.h"
#include "index/edit_error.h"
#include "index/image_reader.h"

namespace crfs {
namespace {

// Whether the image has to be written from front to back: it is no regular file.
bool IsStream(const std::string& image) {
  if (image == "-") return true;
  struct stat stat = {};
  return ::stat(image.c_str(), &stat) == 0 && !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode);
}

absl::StatusOr<std::unique_ptr<FrozenTasks>> StartEngine(Engine engine) {
  return engine == Engine::kPtrace ? FreezeByPtrace() : FreezeByKernel();
}

// Whether crfs is a descendant of a task.
bool IsBelow(pid_t root) {
  pid_t pid = ::getpid();
  while (pid > 0 && pid != root) {
    const absl::StatusOr<ProcStatus> status = ReadThreadStatus(pid, pid);
    pid = status.ok() ? static_cast<pid_t>(status->Number("PPid")) : 0;
  }
  return pid == root;
}

// The module where there is one that can be used: it sees more, and its freeze is shorter. But it
// cannot take crfs for another process than it is (LeaveOut).
Engine ChooseEngine(const CheckpointOptions& options) {
  if (options.copy || IsBelow(options.pid)) return Engine::kPtrace;
  return FreezeByKernel().ok() ? Engine::kKernel : Engine::kPtrace;
}

class Checkpoint {
 public:
  // `crfs`: the process itself, of which this may run in a child.
  Checkpoint(const CheckpointOptions& options, pid_t crfs)
      : options_(options), crfs_(crfs), stream_(IsStream(options.image)) {}

  absl::StatusOr<CheckpointResult> Take() {
    // The file first: if it cannot be written, nothing need be frozen.
    std::optional<NewFile> file;
    UniqueFd pipe;
    if (!stream_) {
      absl::StatusOr<NewFile> created = NewFile::Create(options_.image);
      if (!created.ok()) return created.status();
      file.emplace(*std::move(created));
    } else if (options_.image != "-") {
      pipe.reset(::open(options_.image.c_str(), O_WRONLY | O_CLOEXEC));
      if (!pipe.valid()) {
        return absl::ErrnoToStatus(errno, absl::StrCat(options_.image, ": cannot be opened"));
      }
    }
    if (absl::Status status = Capture(); !status.ok()) return status;
    absl::StatusOr<MemorySource> memory = MemorySource::Create(snapshot_, OpenFrozen());
    if (!memory.ok()) return memory.status();
    result_.memory = memory->size();
    if (options_.copy) {
      if (absl::Status status = CopyAndThaw(*memory); !status.ok()) return status;
    }
    if (stream_) {
      FdSink sink(pipe.valid() ? pipe.get() : STDOUT_FILENO, options_.image);
      const absl::Status status = WriteStream(snapshot_, *memory, sink, progress());
      if (!status.ok()) return InImage(status);
    } else {
      const absl::Status status = WriteFile(*memory, *file);
      if (!status.ok()) return InImage(status);
    }
    if (absl::Status status = Release(); !status.ok()) return status;
    return std::move(result_);
  }

 private:
  OpenMemory OpenFrozen() const {
    return [this](uint32_t type, uint64_t id) { return frozen_->OpenMemory(type, id); };
  }

  absl::Status Capture() {
    absl::StatusOr<std::unique_ptr<FrozenTasks>> engine = StartEngine(options_.engine);
    if (!engine.ok()) return engine.status();
    frozen_ = *std::move(engine);
    absl::StatusOr<ObjectBuilder> machine = DescribeMachine(frozen_->engine());
    if (!machine.ok()) return machine.status();
    frozen_since_ = absl::Now();
    absl::StatusOr<std::vector<pid_t>> tasks =
        FreezeTree(options_.pid, [this](pid_t pid, bool zombie) {
          if (pid == ::getpid() || pid == crfs_) return LeaveOut(pid);
          return frozen_->Freeze(pid, zombie);
        });
    if (!tasks.ok()) return tasks.status();
    result_.tasks = *std::move(tasks);
    if (absl::Status status = frozen_->Capture(snapshot_); !status.ok()) return status;
    for (const auto& fill :
         {UnifyMappedFiles, UnifyCredentials, AddNamespaces, FillTaskRows, FillFileRows}) {
      if (absl::Status status = fill(snapshot_); !status.ok()) return status;
    }
    // Before anything is read of, or said against, what is left out.
    absl::Status status = Exclude(options_.exclude, OpenFrozen(), snapshot_);
    if (status.ok()) status = FillPipes(snapshot_);
    if (!status.ok()) return status;
    absl::StatusOr<std::vector<std::string>> unsupported = FindUnsupported(snapshot_);
    if (!unsupported.ok()) return unsupported.status();
    if (!unsupported->empty() && !options_.inspect) return Refuse(*unsupported);
    std::string lines;
    for (const std::string& state : *unsupported) absl::StrAppend(&lines, state, "\n");
    machine->SetBytes("unsupported", LinesToStrings(lines)).SetNumber("root", 1);
    result_.unsupported = *std::move(unsupported);
    return snapshot_.Add(*machine).status();
  }

  // crfs cannot freeze itself. To whoever started it, it is a child that has ended well; nobody has
  // started one that a program has asked for.
  absl::Status LeaveOut(pid_t pid) {
    if (pid == options_.pid) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", pid, ": is crfs itself: give the pid of a program"));
    }
    if (frozen_->engine() == CRFS_engine_kernel) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", options_.pid,
                       ": crfs itself runs below it, whom the kernel engine cannot leave ",
                       "out: use the ptrace engine (--engine ptrace)"));
    }
    if (stream_ && !options_.copy) {
      return absl::InvalidArgumentError(absl::StrCat(
          "task ", options_.pid, ": crfs itself runs below it, and so may who reads the image, ",
          "which would stand: name a file, or let it go on at once (--fork)"));
    }
    below_ = true;
    if (pid == crfs_ && !options_.request.has_value()) return frozen_->Freeze(pid, /*zombie=*/true);
    return absl::NotFoundError("crfs");
  }

  // Nobody may be there to read what is printed: whoever shows the terminal may stand.
  CopyProgress progress() const { return below_ ? CopyProgress() : options_.progress; }

  absl::Status Refuse(const std::vector<std::string>& unsupported) const {
    return WithErrno(
        absl::FailedPreconditionError(absl::StrCat(
            "task ", options_.pid, ": ", unsupported.size(),
            " of its states cannot be restarted: mend them, or look at them with --inspect", "\n  ",
            absl::StrJoin(unsupported, "\n  "))),
        EOPNOTSUPP);
  }

  // Memory that fork(2) copies, and a program that is told so.
  absl::Status CopyAndThaw(MemorySource& memory) {
    absl::Status status = CopyMemory(snapshot_, *frozen_, options_.image, stream_, memory);
    if (status.ok() && options_.request.has_value()) status = Answer(*options_.request);
    if (!status.ok()) return status;
    const absl::StatusOr<uint64_t> frozen = frozen_->Thaw();
    if (!frozen.ok()) return frozen.status();
    return NoteDowntime(*frozen);
  }

  absl::Status Answer(const SelfRequest& request) const {
    uint64_t mm = 0;
    snapshot_.ForEach("task", [&](const ObjectView& task) {
      if (task.Number("pid") == static_cast<uint64_t>(request.pid())) mm = task.Number("mm");
    });
    const absl::StatusOr<pid_t> copy = frozen_->CopyOf(mm);
    if (!copy.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", request.pid(), ": asks, but is no part of what is saved"));
    }
    const absl::Status status = request.Answer(*copy, CRFS_REQUEST_RESTARTED);
    return status.ok() ? request.Answer(request.pid(), CRFS_REQUEST_COPIED) : status;
  }

  absl::Status NoteDowntime(uint64_t frozen_ns) {
    result_.frozen_ns = frozen_ns;
    ObjectBuilder checkpoint(snapshot_.Get("checkpoint", 1));
    checkpoint.SetNumber("downtime", frozen_ns);
    return snapshot_.Replace(1, checkpoint);
  }

  // Tasks that go on do so as soon as their memory is copied.
  absl::Status WriteFile(const MemorySource& memory, NewFile& file) {
    const DiskWrites when = options_.copy ? DiskWrites::kAtOnce : DiskWrites::kLater;
    const absl::StatusOr<std::vector<uint32_t>> checksums =
        WriteMemory(snapshot_, memory, file, when, progress());
    if (!checksums.ok()) return checksums.status();
    if (!options_.copy) {
      if (absl::Status status = EndStanding(); !status.ok()) return status;
    }
    if (absl::Status status = WriteMetadata(snapshot_, *checksums, file); !status.ok()) {
      return status;
    }
    return file.Commit();
  }

  absl::Status EndStanding() {
    if (options_.afterwards != Afterwards::kRun) {
      return NoteDowntime(
          static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - frozen_since_)));
    }
    const absl::StatusOr<uint64_t> frozen = frozen_->Thaw();
    return frozen.ok() ? NoteDowntime(*frozen) : frozen.status();
  }

  // The image is safe: what the caller asked for happens to the tasks, which are still
  // frozen unless they were to run on, so that their pids are theirs.
  absl::Status Release() {
    if (absl::Status status = Signal(); !status.ok()) return status;
    const absl::StatusOr<uint64_t> frozen = frozen_->Thaw();
    if (absl::IsFailedPrecondition(frozen.status())) return absl::OkStatus();  // thawed before
    if (!frozen.ok()) return frozen.status();
    if (result_.frozen_ns == 0) result_.frozen_ns = *frozen;
    return absl::OkStatus();
  }

  absl::Status Signal() const {
    if (options_.afterwards == Afterwards::kRun) return absl::OkStatus();
    for (const pid_t pid : result_.tasks) {
      if (pid == crfs_) continue;
      const bool kill = options_.afterwards == Afterwards::kKill;
      const absl::Status status = kill ? Sent(pid, ::kill(pid, SIGKILL)) : StopThreads(pid);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Each thread gets a SIGSTOP of its own, so that each stops where it stands: one for the
  // task would be taken by one thread, and the others would run until it tells them.
  static absl::Status StopThreads(pid_t pid) {
    const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
    if (absl::IsNotFound(tids.status())) return absl::OkStatus();
    if (!tids.ok()) return tids.status();
    for (const pid_t tid : *tids) {
      const absl::Status status = Sent(tid, ::tgkill(pid, tid, SIGSTOP));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  static absl::Status Sent(pid_t pid, int result) {
    if (result == 0 || errno == ESRCH) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("task ", pid, ": cannot be signalled"));
  }

  absl::Status InImage(const absl::Status& status) const {
    const absl::Status named = WithPath(status, options_.image);
    return absl::Status(named.code(),
                        absl::StrCat(named.message(), ": the tasks go on, no image is left"));
  }

  const CheckpointOptions& options_;
  const pid_t crfs_;
  const bool stream_;
  bool below_ = false;                   // crfs is a descendant of what it saves
  std::unique_ptr<FrozenTasks> frozen_;  // destroyed: all go on
  Snapshot snapshot_;
  CheckpointResult result_;
  absl::Time frozen_since_;
};

}  // namespace

absl::StatusOr<CheckpointResult> TakeCheckpoint(const CheckpointOptions& options) {
  if (options.copy && options.afterwards != Afterwards::kRun) {
    return absl::InvalidArgumentError("what is copied goes on: neither stop nor kill it");
  }
  CheckpointOptions chosen = options;
  if (chosen.engine == Engine::kAuto) chosen.engine = ChooseEngine(options);
  const auto take = [crfs = ::getpid()](const CheckpointOptions& own) {
    return Checkpoint(own, crfs).Take();
  };
  return chosen.engine == Engine::kPtrace ? TakeInTracer(chosen, take) : take(chosen);
}

}  // namespace crfs
