// SPDX-License-Identifier: Apache-2.0

#include "engine/address_gap.h"

#include <algorithm>

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGuard = 256 * kPage;  // stack_guard_gap of the kernel
// Where the search begins: below the highest address of user mode.
constexpr uint64_t kTop = 0x7fff'0000'0000;

}  // namespace

std::optional<uint64_t> FindAddressGap(uint64_t size, const std::vector<AddressRange>& taken) {
  uint64_t at = kTop - size;
  while (at > size + kGuard) {
    const AddressRange target = {at - kGuard, at + size + kGuard};
    const auto hit = std::ranges::find_if(
        taken, [&](const AddressRange& range) { return Overlaps(target, range); });
    if (hit == taken.end()) return at;
    if (hit->start < size + 2 * kGuard + kPage) break;
    at = std::min(at - kPage, hit->start - size - kGuard);
  }
  return std::nullopt;
}

}  // namespace crfs
