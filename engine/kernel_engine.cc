// SPDX-License-Identifier: Apache-2.0
//
// The kernel engine: the module freezes, tells and reads.

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/device.h"
#include "engine/frozen_tasks.h"
#include "engine/kernel_records.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

// A program that calls execve(2) again and again changes its address space between the
// opening of the proof and the freeze; it cannot win for ever.
constexpr int kProofTries = 100;

// A descriptor of /proc/PID/mem: the kernel lets only those open it who may ptrace the task.
// The leader of a task may be dead while other threads live, so any thread will do.
absl::StatusOr<UniqueFd> OpenProof(pid_t pid) {
  const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
  if (!tids.ok()) return tids.status();
  for (const pid_t tid : *tids) {
    const absl::StatusOr<char> state = ThreadState(pid, tid);
    if (!state.ok() || *state == 'Z' || *state == 'X') continue;
    const std::string path = ProcPath(pid, absl::StrCat("task/", tid, "/mem"));
    UniqueFd proof(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (proof.valid()) return proof;
    if (errno == EACCES || errno == EPERM) {
      return absl::PermissionDeniedError(absl::StrCat(
          "task ", pid, ": you may not ptrace it: run crfs as its user or as root (ptrace(2))"));
    }
    if (errno != ENOENT && errno != ESRCH) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
    }
  }
  return absl::NotFoundError(absl::StrCat("task ", pid, ": has ended"));
}

class KernelFrozenTasks : public FrozenTasks {
 public:
  explicit KernelFrozenTasks(KernelCheckpoint kernel) : kernel_(std::move(kernel)) {}

  crfs_engine engine() const override { return CRFS_engine_kernel; }

  absl::Status Freeze(pid_t pid, bool zombie) override {
    if (zombie) return kernel_.Freeze(pid, -1);
    absl::Status status;
    for (int i = 0; i < kProofTries; ++i) {
      const absl::StatusOr<UniqueFd> proof = OpenProof(pid);
      if (!proof.ok()) return proof.status();
      status = kernel_.Freeze(pid, proof->get());
      if (!absl::IsPermissionDenied(status)) return status;
    }
    return status;
  }

  absl::Status Capture(Snapshot& snapshot) override {
    if (absl::Status status = kernel_.Capture().status(); !status.ok()) return status;
    return ReadKernelRecords(kernel_.records_fd(), snapshot);
  }

  absl::StatusOr<UniqueFd> OpenMemory(uint32_t type, uint64_t id) override {
    return kernel_.OpenMemory(type, id);
  }

  absl::StatusOr<uint64_t> Thaw() override { return kernel_.Thaw(); }

 private:
  KernelCheckpoint kernel_;  // destroyed: all go on
};

}  // namespace

absl::StatusOr<std::unique_ptr<FrozenTasks>> FreezeByKernel() {
  absl::StatusOr<KernelCheckpoint> kernel = KernelCheckpoint::Open();
  if (!kernel.ok()) return kernel.status();
  return std::make_unique<KernelFrozenTasks>(*std::move(kernel));
}

}  // namespace crfs
