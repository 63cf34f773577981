// SPDX-License-Identifier: Apache-2.0

#include "index/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace crfs {

uint32_t Crc32c(absl::string_view bytes, uint32_t crc) {
  // ISA-L leaves the inversions before and after to its caller, and counts in int.
  constexpr size_t kPiece = size_t{1} << 30;
  crc = ~crc;
  while (!bytes.empty()) {
    const size_t length = std::min(bytes.size(), kPiece);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(length), crc);
    bytes.remove_prefix(length);
  }
  return ~crc;
}

}  // namespace crfs
