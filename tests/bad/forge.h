// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_TESTS_BAD_FORGE_H_
#define CRFS_TESTS_BAD_FORGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/record.h"

namespace crfs {

// An image in parts that a test changes as it likes. Checksums, counts and digest are made
// to fit what it then is, so that only the rule in question is broken.
class Forge {
 public:
  struct Record {
    uint32_t type;
    uint64_t id;
    std::string body;
    uint32_t flags = 0;
  };

  // Takes a valid image apart.
  explicit Forge(absl::string_view image);

  // Changes one row of an object; both must exist. Values are not checked.
  Forge& Set(absl::string_view type, uint64_t id, absl::string_view field, uint64_t number);
  Forge& Set(absl::string_view type, uint64_t id, absl::string_view field, absl::string_view bytes);
  Record& Get(absl::string_view type, uint64_t id);
  // Its place among `records`.
  size_t Find(absl::string_view type, uint64_t id) const;
  // The nth record of extents, from 0.
  Record& Extents(size_t n);

  std::string Build() const;

  uint32_t format = 0;          // of the header
  std::vector<Record> records;  // objects and extents
  std::string data;
  std::vector<Record> tail;  // in place of the records of checksums, if there are any
  // What the image says of itself, if not the truth.
  std::optional<uint64_t> data_length;
  std::optional<crfs_end> end;
  char padding = '\0';       // what fills records up to 8
  char data_padding = '\0';  // what stands before the data
};

// A small valid image.
const std::string& SmallImage();

// One EXTENTS record.
std::string ExtentsBody(uint32_t owner_type, uint64_t owner_id,
                        const std::vector<crfs_extent>& extents);

}  // namespace crfs

#endif  // CRFS_TESTS_BAD_FORGE_H_
