// SPDX-License-Identifier: Apache-2.0
//
// The client of the module's restart (crfs/ioctl.h): hands it what it consumes, and has it put
// memory, registers and signal state in place of those of the tasks that joined.

#ifndef CRFS_ENGINE_KERNEL_RESTART_H_
#define CRFS_ENGINE_KERNEL_RESTART_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/reopen_files.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {

// Before Start has succeeded, destroying this, or the death of its process, kills all that has
// joined. Not for use by several threads at once.
class KernelRestart {
 public:
  // Errors as KernelCheckpoint::Open. `floor`: its descriptor is there or above.
  static absl::StatusOr<KernelRestart> Open(const LoadedCheckpoint& checkpoint, int floor);

  // The records that the module consumes, new shared memory for files that have no name, and
  // the files that are mapped.
  absl::Status Load(ReopenedFiles& files);
  // Where private memory is to be read from. Saved vdsos are left out where the kernel's own
  // stands in their place; `patched` has a file with the bytes of others, by id of the mm.
  absl::Status Fill(const absl::flat_hash_map<uint64_t, int>& patched);

  // For CRFS_IOC_JOIN, by the threads.
  int fd() const { return fd_.get(); }

  // When all threads wait. Messages name the file of the tree at fault.
  absl::Status Gather();
  absl::Status Build();
  // Between Gather and the end of Build, by other threads: fills memory along with the tasks,
  // until that end.
  void Help() const;
  absl::Status Start();

 private:
  KernelRestart(const LoadedCheckpoint& checkpoint, UniqueFd fd)
      : checkpoint_(&checkpoint), fd_(std::move(fd)) {}

  absl::Status WriteRecords();
  absl::Status Supply(uint32_t type, uint64_t id, int file, const ObjectView& object,
                      absl::string_view field);
  absl::Status SupplyMapped(const ReopenedFiles& files);
  absl::Status FillMapping(const ObjectView& vma, const LoadedMemory& memory);
  absl::Status Step(unsigned long command, absl::string_view what);
  std::string Where(uint32_t type, uint64_t id) const;

  const LoadedCheckpoint* checkpoint_;
  UniqueFd fd_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_KERNEL_RESTART_H_
