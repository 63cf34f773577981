// SPDX-License-Identifier: Apache-2.0
//
// The ptrace engine: no module, only what any process may ask of one that it may ptrace. What it
// cannot see stands in docs/man/crfs.1, ENGINES.

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "crfs/schema.h"
#include "engine/frozen_tasks.h"
#include "engine/proc_file.h"
#include "engine/ptrace_capture.h"
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
      fd.reset(::open(ProcPath(memory_.mm_users[id - 1], "mem").c_str(), O_RDONLY | O_CLOEXEC));
    }
    if (fd.valid()) return fd;
    return absl::ErrnoToStatus(errno, "the memory of a frozen task cannot be opened");
  }

  absl::StatusOr<uint64_t> Thaw() override {
    if (thawed_) return absl::FailedPreconditionError("the tasks go on already");
    thawed_ = true;
    tasks_.clear();
    return static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::Now() - since_));
  }

 private:
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
