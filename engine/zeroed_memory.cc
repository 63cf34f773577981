// SPDX-License-Identifier: Apache-2.0

#include "engine/zeroed_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "index/ranges.h"

namespace crfs {

std::vector<crfs_extent> ZeroedRanges(const ObjectView& vma, const LoadedMemory& memory) {
  if (vma.Number("file") == 0 && vma.Number("shmem") == 0) return {};
  const absl::StatusOr<std::vector<crfs_extent>> excluded = UnpackRanges(vma.Bytes("excluded"));
  if (!excluded.ok()) return {};  // CheckRestart has refused it
  std::vector<crfs_extent> saved;
  for (const LoadedExtent& extent : memory.extents) {
    saved.push_back({.offset = extent.offset, .length = extent.length});
  }
  // Extents from different files may touch.
  return SubtractRanges(*excluded, MergeRanges(std::move(saved)));
}

absl::StatusOr<UniqueFd> MakeZeros(uint64_t length) {
  UniqueFd fd(::memfd_create("zeros", MFD_CLOEXEC));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(length)) != 0) {
    return absl::ErrnoToStatus(errno, "zeros for memory that was left out cannot be made");
  }
  return fd;
}

}  // namespace crfs
