// SPDX-License-Identifier: Apache-2.0
//
// The names of objects' directories, read.

#ifndef CRFS_INDEX_OBJECT_NAME_H_
#define CRFS_INDEX_OBJECT_NAME_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "index/schema.h"

namespace crfs {

// What a name says: a key number (KeyNumber), and where a range ends.
struct ObjectName {
  uint64_t key = 0;
  uint64_t end = 0;  // of Key::kRange alone
};

// nullopt if no object of the type can have this name: each has one form.
std::optional<ObjectName> ParseObjectName(const ObjectType& type, absl::string_view name);

}  // namespace crfs

#endif  // CRFS_INDEX_OBJECT_NAME_H_
