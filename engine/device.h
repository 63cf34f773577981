// SPDX-License-Identifier: Apache-2.0
//
// The client of /dev/crfs (crfs/ioctl.h): one call a function, errors in words.

#ifndef CRFS_ENGINE_DEVICE_H_
#define CRFS_ENGINE_DEVICE_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/unique_fd.h"

namespace crfs {

// One checkpoint of the module. What it has frozen goes on when this is destroyed. Not for
// use by several threads at once, but for the descriptors of OpenMemory.
class KernelCheckpoint {
 public:
  struct Captured {
    uint64_t records;
    uint64_t bytes;   // of records
    uint64_t memory;  // bytes of memory that the records name
  };

  // NOT_FOUND if there is no such device, UNIMPLEMENTED if its module emits another format.
  static absl::StatusOr<KernelCheckpoint> Open();

  // Freezes one task with its threads. `mem_fd` is open on its /proc/PID/mem, or -1 for a
  // zombie whose parent is frozen.
  absl::Status Freeze(pid_t pid, int mem_fd);
  // Gathers the records of all that is frozen; to be called once.
  absl::StatusOr<Captured> Capture();
  // The stream of records, after Capture. Owned by this object.
  int records_fd() const { return fd_.get(); }
  // The memory of one mm or shmem object: pread(2) at an address or a file offset.
  absl::StatusOr<UniqueFd> OpenMemory(uint32_t owner_type, uint64_t owner_id) const;
  // Lets all go on; returns how long they stood, nanoseconds.
  absl::StatusOr<uint64_t> Thaw();

 private:
  explicit KernelCheckpoint(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// A restart of the module, of nothing yet (CRFS_IOC_RESTART), close-on-exec. Its holder is the
// calling process. Errors as KernelCheckpoint::Open; PERMISSION_DENIED: who is under a seccomp
// filter may not.
absl::StatusOr<UniqueFd> OpenRestart();

}  // namespace crfs

#endif  // CRFS_ENGINE_DEVICE_H_
