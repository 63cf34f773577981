// SPDX-License-Identifier: Apache-2.0
//
// The memory of frozen tasks as one run of bytes: the data of the image, in its order.

#ifndef CRFS_ENGINE_MEMORY_SOURCE_H_
#define CRFS_ENGINE_MEMORY_SOURCE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/snapshot.h"
#include "index/data_copy.h"
#include "index/unique_fd.h"

namespace crfs {

// Opens the memory of one mm or shmem object, so that pread(2) at an address or a file
// offset reads it.
using OpenMemory = std::function<absl::StatusOr<UniqueFd>(uint32_t type, uint64_t id)>;

class MemorySource : public DataSource {
 public:
  // Keeps what it needs of `snapshot`; opens each memory once.
  static absl::StatusOr<MemorySource> Create(const Snapshot& snapshot, const OpenMemory& open);

  // Reads the chosen extents now, into `file`, and from there from then on.
  absl::Status Keep(const Snapshot& snapshot,
                    absl::FunctionRef<bool(const OwnedExtent& owned)> which, UniqueFd file);
  // From then on the memory of each mm is read from what `open` opens.
  absl::Status ReopenAddressSpaces(const OpenMemory& open);

  uint64_t size() const override { return size_; }
  absl::Status Read(uint64_t offset, std::span<char> buffer) const override;

 private:
  struct Memory {
    uint32_t type;  // 0: the file of Keep
    uint64_t id;
    UniqueFd fd;
  };
  struct Run {
    uint64_t begin;   // where it begins in the data
    uint64_t length;  // bytes
    size_t memory;    // one of memories_
    uint64_t source;  // where it begins there
    uint64_t end;     // what lies beyond it there is zero: a shmem ends within a page
  };

  std::vector<Run> runs_;  // as the extents of the snapshot
  std::vector<Memory> memories_;
  uint64_t size_ = 0;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_MEMORY_SOURCE_H_
