// SPDX-License-Identifier: Apache-2.0
//
// The ptrace engine: no module, only what any process may ask of one that it may ptrace. What it
// cannot see stands in docs/man/crfs.1, ENGINES.

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "crfs/schema.h"
#include "engine/blocked_signals.h"
#include "engine/frozen_tasks.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "engine/ptrace_capture.h"
#include "engine/ptrace_copy.h"
#include "engine/ptrace_kcmp.h"
#include "engine/ptrace_task.h"

namespace crfs {
namespace {

class PtraceFrozenTasks : public FrozenTasks {
 public:
  crfs_engine engine() const override { return CRFS_engine_ptrace; }

  absl::Status Freeze(pid_t pid, bool zombie) override {
    if (tasks_.empty()) since_ = absl::Now();
    if (zombie) {
      tasks_.push_back({.pid = pid, .zombie = true, .threads = {}, .workers = {}});
      return absl::OkStatus();
    }
    absl::StatusOr<StoppedTask> task = StopTask(pid);
    if (!task.ok()) return task.status();
    tasks_.push_back(*std::move(task));
    return absl::OkStatus();
  }

  absl::Status Capture(Snapshot& snapshot) override {
    absl::StatusOr<CapturedMemory> memory = CaptureTasks(tasks_, snapshot);
    if (!memory.ok()) return memory.status();
    memory_ = *std::move(memory);
    return absl::OkStatus();
  }

  absl::StatusOr<UniqueFd> OpenMemory(uint32_t type, uint64_t id) override {
    UniqueFd fd;
    if (type == CRFS_TAG_shmem) {
      fd.reset(::fcntl(memory_.files->shmem(id), F_DUPFD_CLOEXEC, 0));
    } else {
      const pid_t holder = copies_.empty() ? memory_.mm_users[id - 1] : copies_[id - 1].pid();
      fd.reset(::open(ProcPath(holder, "mem").c_str(), O_RDONLY | O_CLOEXEC));
    }
    if (fd.valid()) return fd;
    return absl::ErrnoToStatus(errno, "the memory of a frozen task cannot be opened");
  }

  absl::Status CopyMemory(const Snapshot& snapshot) override {
    const MemoryCopy::Reaper reaper = FindReaper(snapshot);
    // What is done for the copies at their end must not be left out.
    if (reaper == MemoryCopy::Reaper::kInTree) held_back_.emplace();
    for (const pid_t user : memory_.mm_users) {
      const auto task = std::find_if(tasks_.begin(), tasks_.end(),
                                     [user](const StoppedTask& t) { return t.pid == user; });
      absl::StatusOr<MemoryCopy> copy = MemoryCopy::Make(*task, reaper);
      if (!copy.ok()) return copy.status();
      copies_.push_back(*std::move(copy));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<pid_t> CopyOf(uint64_t mm) const override {
    if (mm == 0 || mm > copies_.size()) return absl::NotFoundError("there is no such copy");
    return copies_[mm - 1].pid();
  }

  absl::StatusOr<uint64_t> Thaw() override {
    if (thawed_) return absl::FailedPreconditionError("the tasks go on already");
    thawed_ = true;
    tasks_.clear();
    return static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - since_));
  }

 private:
  // Whether orphans of these tasks become children of one of them.
  MemoryCopy::Reaper FindReaper(const Snapshot& snapshot) const {
    bool in_tree = false;
    snapshot.ForEach("task", [&](const ObjectView& task) {
      in_tree = in_tree || task.Number("child_subreaper") != 0;
    });
    for (const StoppedTask& task : tasks_) {
      const absl::StatusOr<ProcStatus> status = ReadThreadStatus(task.pid, task.pid);
      if (!status.ok()) continue;
      const std::vector<uint32_t> numbers = status->Numbers("NSpid");
      in_tree = in_tree || (!numbers.empty() && numbers.back() == 1);
    }
    return in_tree ? MemoryCopy::Reaper::kInTree : MemoryCopy::Reaper::kOutside;
  }

  // The tasks go on before their copies end, which stops some of them again.
  std::optional<BlockedSignals> held_back_;
  std::vector<MemoryCopy> copies_;  // by id of the mm - 1
  std::vector<StoppedTask> tasks_;  // destroyed: all go on
  CapturedMemory memory_;
  absl::Time since_;
  bool thawed_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FrozenTasks>> FreezeByPtrace() {
  if (absl::Status status = FindKcmp(); !status.ok()) return status;
  return std::make_unique<PtraceFrozenTasks>();
}

}  // namespace crfs
