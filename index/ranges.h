// SPDX-License-Identifier: Apache-2.0
//
// Values of the codec `ranges`: pairs of u64, where each range begins and where it ends, in whole
// pages, ascending, apart from one another. Stateless; any thread.

#ifndef CRFS_INDEX_RANGES_H_
#define CRFS_INDEX_RANGES_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"

namespace crfs {

inline constexpr uint64_t kRangesPageSize = 4096;
inline constexpr uint64_t kRangesEnd = UINT64_MAX / kRangesPageSize * kRangesPageSize;

// `ranges` must be as said above.
std::string PackRanges(std::span<const crfs_extent> ranges);

// INVALID_ARGUMENT if the bytes are no such ranges.
absl::StatusOr<std::vector<crfs_extent>> UnpackRanges(absl::string_view bytes);

// Any ranges in whole pages, as such ranges: sorted, and those that touch merged.
std::vector<crfs_extent> MergeRanges(std::vector<crfs_extent> ranges);

// What of `ranges` is in none of `holes`; both are as said above.
std::vector<crfs_extent> SubtractRanges(std::span<const crfs_extent> ranges,
                                        std::span<const crfs_extent> holes);

}  // namespace crfs

#endif  // CRFS_INDEX_RANGES_H_
