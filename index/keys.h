// SPDX-License-Identifier: Apache-2.0
//
// The keys of the index and their values: the one place that knows how they are laid out.
// A key is a letter (its family) and big-endian numbers, so that keys sort by those
// numbers. Values are varints. Everything here is pure; any thread.
//
//   c block                 checksums of kChecksumsInBlock chunks of data, 4 bytes each
//   k tag owner key         object id, of what has this key number in this folder
//   m                       the meta value (IndexMeta)
//   n tag id                count of references to an object, where it is not 1
//   o tag id                uid and gid of an object, where they are not the meta value's
//   r tag id                offset and length of the body of the object's record
//   s tag id                bytes saved of the object's memory, where there are any
//   t tag id                the same of all that it owns together (of an mm)
//   x tag id offset         length and place in the data of one extent of saved memory

#ifndef CRFS_INDEX_KEYS_H_
#define CRFS_INDEX_KEYS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace crfs {

// Raised whenever a key or value changes its meaning: older indexes are then rebuilt.
inline constexpr uint32_t kIndexLayout = 1;

inline constexpr uint64_t kChecksumsInBlock = 1024;

class IndexKey {
 public:
  static IndexKey Checksums(uint64_t block) { return IndexKey('c').Add64(block); }
  static IndexKey Child(uint32_t tag, uint64_t owner_id, uint64_t key) {
    return IndexKey('k').Add16(tag).Add64(owner_id).Add64(key);
  }
  static IndexKey Meta() { return IndexKey('m'); }
  static IndexKey Refs(uint32_t tag, uint64_t id) { return IndexKey('n').Add16(tag).Add64(id); }
  static IndexKey Owner(uint32_t tag, uint64_t id) { return IndexKey('o').Add16(tag).Add64(id); }
  static IndexKey Record(uint32_t tag, uint64_t id) { return IndexKey('r').Add16(tag).Add64(id); }
  static IndexKey Saved(uint32_t tag, uint64_t id) { return IndexKey('s').Add16(tag).Add64(id); }
  static IndexKey SavedInAll(uint32_t tag, uint64_t id) {
    return IndexKey('t').Add16(tag).Add64(id);
  }
  static IndexKey Extent(uint32_t tag, uint64_t owner_id, uint64_t offset) {
    return IndexKey('x').Add16(tag).Add64(owner_id).Add64(offset);
  }

  absl::string_view view() const { return {bytes_.data(), size_}; }
  // All but the last number: what the keys of one folder, or of one object's extents, have
  // in common.
  absl::string_view prefix() const { return {bytes_.data(), size_ - 8u}; }

 private:
  explicit IndexKey(char family) { bytes_[0] = family; }
  IndexKey& Add16(uint32_t number);
  IndexKey& Add64(uint64_t number);

  std::array<char, 19> bytes_;
  uint8_t size_ = 1;
};

// The last number of a key.
uint64_t LastNumber(absl::string_view key);

void AppendVarint(std::string* out, uint64_t number);
// Takes one number off the front of `bytes`; false if there is none.
bool TakeVarint(absl::string_view* bytes, uint64_t* number);

// A value of two numbers (o, r, x).
struct NumberPair {
  uint64_t first;
  uint64_t second;
};
std::string EncodePair(uint64_t first, uint64_t second);
std::optional<NumberPair> DecodePair(absl::string_view bytes);
// A value of one number (k, n, s, t).
std::string EncodeNumber(uint64_t number);
std::optional<uint64_t> DecodeNumber(absl::string_view bytes);

// What the index knows of the image as a whole. `image_size` and `digest` say which image
// it belongs to.
struct IndexMeta {
  uint32_t format = 0;
  uint64_t image_size = 0;
  std::string digest;        // of the END record
  uint64_t data_offset = 0;  // of the first byte of data in the image
  uint64_t data_length = 0;
  bool one_owner = true;  // every object belongs to uid and gid; there are no `o` keys
  uint32_t uid = 0;       // of the root task, otherwise
  uint32_t gid = 0;
  std::map<uint32_t, uint64_t> counts;  // objects by tag

  bool operator==(const IndexMeta&) const = default;
};
std::string EncodeMeta(const IndexMeta& meta);
// nullopt if it is damaged, or of another layout.
std::optional<IndexMeta> DecodeMeta(absl::string_view bytes);

}  // namespace crfs

#endif  // CRFS_INDEX_KEYS_H_
