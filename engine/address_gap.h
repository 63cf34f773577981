// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_ADDRESS_GAP_H_
#define CRFS_ENGINE_ADDRESS_GAP_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace crfs {

struct AddressRange {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - start; }
};

inline bool Overlaps(const AddressRange& one, const AddressRange& other) {
  return one.start < other.end && other.start < one.end;
}

// The highest address of a program's memory from which `size` bytes are in none of the ranges, nor
// so close to one that a stack could not grow to its guard gap. Both in bytes, whole pages.
std::optional<uint64_t> FindAddressGap(uint64_t size, const std::vector<AddressRange>& taken);

}  // namespace crfs

#endif  // CRFS_ENGINE_ADDRESS_GAP_H_
