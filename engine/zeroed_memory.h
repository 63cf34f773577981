// SPDX-License-Identifier: Apache-2.0
//
// Memory that was left out of a checkpoint, and comes back as zeros.

#ifndef CRFS_ENGINE_ZEROED_MEMORY_H_
#define CRFS_ENGINE_ZEROED_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "crfs/image.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {

// The ranges of a mapping that a restart has to fill with zeros, as offsets from its start,
// ascending: what is excluded, not saved (an edit may have put something there), and would
// otherwise be the contents of a file or of shared memory. Anonymous memory is zero already.
std::vector<crfs_extent> ZeroedRanges(const ObjectView& vma, const LoadedMemory& memory);

// A file of so many bytes, all zero, that takes no room.
absl::StatusOr<UniqueFd> MakeZeros(uint64_t length);

}  // namespace crfs

#endif  // CRFS_ENGINE_ZEROED_MEMORY_H_
