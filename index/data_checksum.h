// SPDX-License-Identifier: Apache-2.0
//
// The checksum of a chunk of memory in an image: the low half of XXH64. Memory is most of an
// image, and this is fast on any processor, also where the instruction of crc32c is emulated.

#ifndef CRFS_INDEX_DATA_CHECKSUM_H_
#define CRFS_INDEX_DATA_CHECKSUM_H_

#include <xxhash.h>

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"

namespace crfs {

uint32_t DataChecksum(absl::string_view chunk);

// The same of a chunk that comes piece by piece.
class DataChecksummer {
 public:
  DataChecksummer();

  void Add(absl::string_view piece);
  // Of what was added since the last call, or since the start.
  uint32_t Take();

 private:
  struct Free {
    void operator()(XXH64_state_t* state) const { XXH64_freeState(state); }
  };
  std::unique_ptr<XXH64_state_t, Free> state_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_DATA_CHECKSUM_H_
