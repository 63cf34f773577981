// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_DIFF_MEMORY_H_
#define CRFS_INDEX_DIFF_MEMORY_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

enum class PageDifference { kDiffers, kOnlyInOne, kOnlyInOther };

// Calls `visit` for each run of pages of the same owner in two checkpoints that differ in the
// same way, by ascending offset from the owner's start. Errors of reading name no file.
absl::Status DiffMemory(
    const LoadedMemory& one, const LoadedMemory& other,
    const std::function<void(uint64_t offset, uint64_t length, PageDifference)>& visit);

}  // namespace crfs

#endif  // CRFS_INDEX_DIFF_MEMORY_H_
