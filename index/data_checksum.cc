// SPDX-License-Identifier: Apache-2.0

#include "index/data_checksum.h"

#include <new>

namespace crfs {
namespace {

constexpr XXH64_hash_t kSeed = 0;

}  // namespace

uint32_t DataChecksum(absl::string_view chunk) {
  return static_cast<uint32_t>(XXH64(chunk.data(), chunk.size(), kSeed));
}

DataChecksummer::DataChecksummer() : state_(XXH64_createState()) {
  if (state_ == nullptr || XXH64_reset(state_.get(), kSeed) != XXH_OK) throw std::bad_alloc();
}

void DataChecksummer::Add(absl::string_view piece) {
  XXH64_update(state_.get(), piece.data(), piece.size());
}

uint32_t DataChecksummer::Take() {
  const auto checksum = static_cast<uint32_t>(XXH64_digest(state_.get()));
  XXH64_reset(state_.get(), kSeed);
  return checksum;
}

}  // namespace crfs
