// SPDX-License-Identifier: Apache-2.0
//
// The text of `pagemap`: which pages of a memory are saved, one range of offsets a line, as
// FormatRange writes it. Stateless; any thread.

#ifndef CRFS_INDEX_PAGEMAP_H_
#define CRFS_INDEX_PAGEMAP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"

namespace crfs {

// Adds the line of one extent, which must not overflow.
void AppendPagemapLine(std::string* text, uint64_t offset, uint64_t length);

// The extents that a text lists: ascending, apart from one another, whole pages (of
// `page_size` bytes), none beyond the last page of `memory_size` bytes. A missing newline at
// the end is forgiven. INVALID_ARGUMENT says which line is wrong and why.
absl::StatusOr<std::vector<crfs_extent>> ParsePagemap(absl::string_view text, uint64_t memory_size,
                                                      uint64_t page_size);

}  // namespace crfs

#endif  // CRFS_INDEX_PAGEMAP_H_
