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
#include "engine/frozen_tasks.h"
#include "engine/machine_rows.h"
#include "engine/mapped_files.h"
#include "engine/pipes.h"
#include "engine/proc_file.h"
#include "engine/proc_rows.h"
#include "engine/ptrace_tracer.h"
#include "engine/same_credentials.h"
#include "engine/task_walk.h"
#include "engine/unsupported.h"
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

// The module where there is one that can be used: it sees more, and its freeze is shorter.
Engine ChooseEngine() { return FreezeByKernel().ok() ? Engine::kKernel : Engine::kPtrace; }

class Checkpoint {
 public:
  explicit Checkpoint(const CheckpointOptions& options) : options_(options) {}

  absl::StatusOr<CheckpointResult> Take() {
    // The file first: if it cannot be written, nothing need be frozen.
    const bool stream = IsStream(options_.image);
    std::optional<NewFile> file;
    UniqueFd pipe;
    if (!stream) {
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
    const absl::StatusOr<MemorySource> memory = MemorySource::Create(
        snapshot_, [this](uint32_t type, uint64_t id) { return frozen_->OpenMemory(type, id); });
    if (!memory.ok()) return memory.status();
    result_.memory = memory->size();
    if (stream) {
      FdSink sink(pipe.valid() ? pipe.get() : STDOUT_FILENO, options_.image);
      const absl::Status status = WriteStream(snapshot_, *memory, sink, options_.progress);
      if (!status.ok()) return InImage(status);
    } else {
      const absl::Status status = WriteFile(*memory, *file);
      if (!status.ok()) return InImage(status);
    }
    if (absl::Status status = Release(); !status.ok()) return status;
    return std::move(result_);
  }

 private:
  absl::Status Capture() {
    absl::StatusOr<std::unique_ptr<FrozenTasks>> engine = StartEngine(options_.engine);
    if (!engine.ok()) return engine.status();
    frozen_ = *std::move(engine);
    absl::StatusOr<ObjectBuilder> machine = DescribeMachine(frozen_->engine());
    if (!machine.ok()) return machine.status();
    frozen_since_ = absl::Now();
    absl::StatusOr<std::vector<pid_t>> tasks =
        FreezeTree(options_.pid, [this](pid_t pid, bool zombie) {
          // The engine may run in a child of crfs; whatever else has this one as its child has
          // crfs below it.
          if (pid == ::getpid() || pid == ::getppid()) {
            return absl::InvalidArgumentError(absl::StrCat(
                "task ", options_.pid,
                ": crfs itself runs below it and cannot freeze itself: run crfs from elsewhere"));
          }
          return frozen_->Freeze(pid, zombie);
        });
    if (!tasks.ok()) return tasks.status();
    result_.tasks = *std::move(tasks);
    if (absl::Status status = frozen_->Capture(snapshot_); !status.ok()) return status;
    for (const auto& fill : {UnifyMappedFiles, UnifyCredentials, AddNamespaces, FillTaskRows,
                             FillFileRows, FillPipes}) {
      if (absl::Status status = fill(snapshot_); !status.ok()) return status;
    }
    absl::StatusOr<std::vector<std::string>> unsupported = FindUnsupported(snapshot_);
    if (!unsupported.ok()) return unsupported.status();
    if (!unsupported->empty() && !options_.inspect) return Refuse(*unsupported);
    std::string lines;
    for (const std::string& state : *unsupported) absl::StrAppend(&lines, state, "\n");
    machine->SetBytes("unsupported", LinesToStrings(lines)).SetNumber("root", 1);
    result_.unsupported = *std::move(unsupported);
    return snapshot_.Add(*machine).status();
  }

  absl::Status Refuse(const std::vector<std::string>& unsupported) const {
    return absl::FailedPreconditionError(absl::StrCat(
        "task ", options_.pid, ": ", unsupported.size(),
        " of its states cannot be restarted: mend them, or look at them with --inspect", "\n  ",
        absl::StrJoin(unsupported, "\n  ")));
  }

  // Tasks that go on do so as soon as their memory is copied.
  absl::Status WriteFile(const MemorySource& memory, NewFile& file) {
    const absl::StatusOr<std::vector<uint32_t>> checksums =
        WriteMemory(snapshot_, memory, file, options_.progress);
    if (!checksums.ok()) return checksums.status();
    result_.frozen_ns =
        static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - frozen_since_));
    if (options_.afterwards == Afterwards::kRun) {
      const absl::StatusOr<uint64_t> frozen = frozen_->Thaw();
      if (!frozen.ok()) return frozen.status();
      result_.frozen_ns = *frozen;
    }
    ObjectBuilder checkpoint(snapshot_.Get("checkpoint", 1));
    checkpoint.SetNumber("downtime", result_.frozen_ns);
    if (absl::Status status = snapshot_.Replace(1, checkpoint); !status.ok()) return status;
    if (absl::Status status = WriteMetadata(snapshot_, *checksums, file); !status.ok()) {
      return status;
    }
    return file.Commit();
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
  std::unique_ptr<FrozenTasks> frozen_;  // destroyed: all go on
  Snapshot snapshot_;
  CheckpointResult result_;
  absl::Time frozen_since_;
};

}  // namespace

absl::StatusOr<CheckpointResult> TakeCheckpoint(const CheckpointOptions& options) {
  CheckpointOptions chosen = options;
  if (chosen.engine == Engine::kAuto) chosen.engine = ChooseEngine();
  const auto take = [](const CheckpointOptions& own) { return Checkpoint(own).Take(); };
  return chosen.engine == Engine::kPtrace ? TakeInTracer(chosen, take) : take(chosen);
}

}  // namespace crfs
