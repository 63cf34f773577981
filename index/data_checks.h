// SPDX-License-Identifier: Apache-2.0
//
// Checks the data of an image against its checksums when it is first read, chunk by chunk,
// so that opening an image costs nothing and reading damaged memory is an error.

#ifndef CRFS_INDEX_DATA_CHECKS_H_
#define CRFS_INDEX_DATA_CHECKS_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/image_file.h"

namespace crfs {

// Memory: a bit a chunk, and a buffer of one chunk a thread. Const calls may be made from
// any thread at once; two that want the same chunk may both read it.
class DataChecks {
 public:
  // The data is at [offset, offset + length) of the image, which must outlive this.
  DataChecks(const ImageFile* image, uint64_t offset, uint64_t length);

  // As Index::VerifyData. `checksum` gives that of a chunk.
  absl::Status Verify(uint64_t image_offset, uint64_t length,
                      absl::FunctionRef<absl::StatusOr<uint32_t>(uint64_t chunk)> checksum) const;

 private:
  bool IsVerified(uint64_t chunk) const;
  // Has the disk fetch what follows, where somebody reads on.
  void ReadAhead(uint64_t chunk) const;
  // Forgets what was verified if the file is not what it was then.
  absl::Status CheckFile(uint64_t end) const;

  const ImageFile* image_;
  uint64_t offset_;
  uint64_t length_;
  uint64_t words_;
  std::unique_ptr<std::atomic<uint64_t>[]> verified_;  // a bit a chunk
  mutable std::atomic<int64_t> changed_;               // mtime of the file, ns
};

}  // namespace crfs

#endif  // CRFS_INDEX_DATA_CHECKS_H_
