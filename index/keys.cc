// SPDX-License-Identifier: Apache-2.0

#include "index/keys.h"

#include <cstring>

namespace crfs {

IndexKey& IndexKey::Add16(uint32_t number) {
  const uint16_t bytes = __builtin_bswap16(static_cast<uint16_t>(number));
  std::memcpy(&bytes_[size_], &bytes, sizeof(bytes));
  size_ += sizeof(bytes);
  return *this;
}

IndexKey& IndexKey::Add64(uint64_t number) {
  const uint64_t bytes = __builtin_bswap64(number);
  std::memcpy(&bytes_[size_], &bytes, sizeof(bytes));
  size_ += sizeof(bytes);
  return *this;
}

uint64_t LastNumber(absl::string_view key) {
  uint64_t number = 0;
  if (key.size() < 8) return 0;
  for (char c : key.substr(key.size() - 8)) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

void AppendVarint(std::string* out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) out->push_back(static_cast<char>(number | 0x80));
  out->push_back(static_cast<char>(number));
}

bool TakeVarint(absl::string_view* bytes, uint64_t* number) {
  *number = 0;
  for (size_t i = 0; i < bytes->size() && i < 10; ++i) {
    const uint64_t byte = static_cast<uint8_t>((*bytes)[i]);
    *number |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

std::string EncodePair(uint64_t first, uint64_t second) {
  std::string out;
  AppendVarint(&out, first);
  AppendVarint(&out, second);
  return out;
}

std::optional<NumberPair> DecodePair(absl::string_view bytes) {
  NumberPair pair;
  if (!TakeVarint(&bytes, &pair.first) || !TakeVarint(&bytes, &pair.second)) return std::nullopt;
  if (!bytes.empty()) return std::nullopt;
  return pair;
}

std::string EncodeNumber(uint64_t number) {
  std::string out;
  AppendVarint(&out, number);
  return out;
}

std::optional<uint64_t> DecodeNumber(absl::string_view bytes) {
  uint64_t number;
  if (!TakeVarint(&bytes, &number) || !bytes.empty()) return std::nullopt;
  return number;
}

std::string EncodeMeta(const IndexMeta& meta) {
  std::string out;
  for (uint64_t number : {uint64_t{kIndexLayout}, uint64_t{meta.format}, meta.image_size,
                          meta.data_offset, meta.data_length, uint64_t{meta.one_owner},
                          uint64_t{meta.uid}, uint64_t{meta.gid}, uint64_t{meta.counts.size()}}) {
    AppendVarint(&out, number);
  }
  for (const auto& [tag, count] : meta.counts) {
    AppendVarint(&out, tag);
    AppendVarint(&out, count);
  }
  return out + meta.digest;
}

std::optional<IndexMeta> DecodeMeta(absl::string_view bytes) {
  IndexMeta meta;
  uint64_t layout, format, one_owner, uid, gid, types;
  if (!TakeVarint(&bytes, &layout) || layout != kIndexLayout) return std::nullopt;
  if (!TakeVarint(&bytes, &format) || !TakeVarint(&bytes, &meta.image_size) ||
      !TakeVarint(&bytes, &meta.data_offset) || !TakeVarint(&bytes, &meta.data_length) ||
      !TakeVarint(&bytes, &one_owner) || !TakeVarint(&bytes, &uid) || !TakeVarint(&bytes, &gid) ||
      !TakeVarint(&bytes, &types)) {
    return std::nullopt;
  }
  meta.format = static_cast<uint32_t>(format);
  meta.one_owner = one_owner != 0;
  meta.uid = static_cast<uint32_t>(uid);
  meta.gid = static_cast<uint32_t>(gid);
  for (; types > 0; --types) {
    uint64_t tag, count;
    if (!TakeVarint(&bytes, &tag) || !TakeVarint(&bytes, &count)) return std::nullopt;
    meta.counts[static_cast<uint32_t>(tag)] = count;
  }
  meta.digest = std::string(bytes);
  return meta;
}

}  // namespace crfs
