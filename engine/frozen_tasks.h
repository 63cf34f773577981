// SPDX-License-Identifier: Apache-2.0
//
// What an engine is to a checkpoint: it freezes tasks, says what they are, gives access to
// their memory and lets them go on. All the rest (engine/checkpoint.cc) is the same for each.

#ifndef CRFS_ENGINE_FROZEN_TASKS_H_
#define CRFS_ENGINE_FROZEN_TASKS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crfs/words.h"
#include "engine/snapshot.h"
#include "index/unique_fd.h"

namespace crfs {

// The tasks of one checkpoint. Whatever has been frozen goes on when this is destroyed, and when
// the process that holds it dies. To be used, and destroyed, by the thread that made it.
class FrozenTasks {
 public:
  virtual ~FrozenTasks() = default;

  virtual crfs_engine engine() const = 0;
  // Freezes one task with all of its threads; of a zombie there is nothing to freeze, and its
  // parent must have been frozen before. NOT_FOUND: it is gone.
  virtual absl::Status Freeze(pid_t pid, bool zombie) = 0;
  // Adds all objects of all frozen tasks, in the order in which they were frozen, with the rows
  // whose source is `kernel` (crfs/schema.h), and the table of memory. To be called once.
  virtual absl::Status Capture(Snapshot& snapshot) = 0;
  // The memory of one mm or shmem object, after Capture: pread(2) at an address or a file offset,
  // by any thread.
  virtual absl::StatusOr<UniqueFd> OpenMemory(uint32_t type, uint64_t id) = 0;
  // Copies all memory, after Capture and before Thaw: from then on OpenMemory opens that of an mm
  // as it was now, also after Thaw, for as long as this lives. What fork(2) does not copy is not in
  // it. UNIMPLEMENTED: this engine cannot.
  virtual absl::Status CopyMemory(const Snapshot&) {
    return absl::UnimplementedError(
        "the kernel engine copies no memory: use the ptrace engine (--engine ptrace)");
  }
  // The process that holds the copy of an mm; it does not run.
  virtual absl::StatusOr<pid_t> CopyOf(uint64_t /*mm*/) const {
    return absl::NotFoundError("there is no copy");
  }
  // Lets all go on; returns how long they stood, nanoseconds. FAILED_PRECONDITION: it has been
  // called before.
  virtual absl::StatusOr<uint64_t> Thaw() = 0;
};

// Through the module (crfs/ioctl.h). Errors as KernelCheckpoint::Open.
absl::StatusOr<std::unique_ptr<FrozenTasks>> FreezeByKernel();

// Through ptrace(2) and /proc alone (engine/ptrace_engine.cc). UNIMPLEMENTED: this kernel lacks
// something.
absl::StatusOr<std::unique_ptr<FrozenTasks>> FreezeByPtrace();

}  // namespace crfs

#endif  // CRFS_ENGINE_FROZEN_TASKS_H_
