// SPDX-License-Identifier: Apache-2.0
//
// Which pages of a memory in a tree are saved: those that `pagemap` lists, and those beyond
// it that hold something. A copy may have lost the holes of `pages`, and with them the
// difference between what was not saved and what is zero.

#ifndef CRFS_INDEX_TREE_MEMORY_H_
#define CRFS_INDEX_TREE_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"

namespace crfs {

// Of the only architecture there is.
inline constexpr uint64_t kTreePageSize = 4096;

// The pages of the file `fd`, of `size` bytes, that hold data in the sense of SEEK_DATA and
// do not lie in `listed` (ascending extents), whole pages, ascending. Pages of zeros count
// only if `keep_zeros`. Errors, without a path: as errno has it.
absl::StatusOr<std::vector<crfs_extent>> FindPages(int fd, uint64_t size,
                                                   const std::vector<crfs_extent>& listed,
                                                   bool keep_zeros);

// Adds an extent, of at least a byte, behind all others; one that touches the last is merged
// with it.
void AddPages(std::vector<crfs_extent>& extents, uint64_t offset, uint64_t length);

// Both together, those that touch merged. They must not overlap.
std::vector<crfs_extent> Unite(const std::vector<crfs_extent>& one,
                               const std::vector<crfs_extent>& other);

// Whether all of them are zero.
bool IsZero(absl::string_view bytes);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_MEMORY_H_
