// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_CRC32C_H_
#define CRFS_INDEX_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace crfs {

// CRC-32C (RFC 3720) of `bytes`, continuing from the `crc` of what came before (0 at the
// start).
uint32_t Crc32c(absl::string_view bytes, uint32_t crc = 0);

}  // namespace crfs

#endif  // CRFS_INDEX_CRC32C_H_
