// SPDX-License-Identifier: Apache-2.0
//
// Copies the memory of a checkpoint into an image: in place by several threads, or in order
// for what cannot seek.

#ifndef CRFS_INDEX_DATA_COPY_H_
#define CRFS_INDEX_DATA_COPY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/image_writer.h"

namespace crfs {

// The data of an image as one run of bytes, in its order.
class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual uint64_t size() const = 0;
  // Fills `buffer` with the bytes from `offset` on, all of which lie within size(). Any
  // thread, any number at once.
  virtual absl::Status Read(uint64_t offset, std::span<char> buffer) const = 0;
};

// Called by one thread at a time.
using CopyProgress = std::function<void(uint64_t done, uint64_t total)>;

// When the disk begins to write: as soon as it can, which makes the whole faster; or when the
// kernel sees fit, so that somebody who waits for the copy alone (a frozen task) waits less.
enum class DiskWrites { kAtOnce, kLater };

// Writes all of it to the file `fd`, from the offset `begin` on, and returns the checksums of
// its chunks. The threads have ended when it returns.
absl::StatusOr<std::vector<uint32_t>> CopyInPlace(const DataSource& source, int fd, uint64_t begin,
                                                  DiskWrites when, const CopyProgress& progress);

// The same piece by piece to a writer whose table of extents is complete.
absl::Status CopyInOrder(const DataSource& source, ImageWriter& writer,
                         const CopyProgress& progress);

}  // namespace crfs

#endif  // CRFS_INDEX_DATA_COPY_H_
