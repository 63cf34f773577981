// SPDX-License-Identifier: Apache-2.0
//
// One object as a directory of a tree tells it, before its references are looked up. For
// index/tree_*.cc and index/load_tree.cc alone.

#ifndef CRFS_INDEX_TREE_OBJECT_H_
#define CRFS_INDEX_TREE_OBJECT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crfs/image.h"
#include "index/image_place.h"
#include "index/object_name.h"
#include "index/record.h"
#include "index/schema.h"

namespace crfs {

struct TreeObject;

// What the file of one row says.
struct TreeFile {
  enum class Kind : uint8_t {
    kMissing,
    kWrong,    // there, and a problem has been noted
    kValue,    // `value`
    kLink,     // a link to the object of its type whose id, or key number, is value.number
    kCopy,     // a directory in place of a link: `copy` is what it holds
    kInherit,  // a link to inherit/N: value.number is N
  };
  Kind kind = Kind::kMissing;
  Value value;
  std::unique_ptr<TreeObject> copy;
};

// Saved memory: the file `pages` and what else says which of its pages count.
struct TreeMemory {
  bool has_pages = false;              // whether the file is there
  uint64_t file_size = 0;              // bytes
  std::optional<std::string> pagemap;  // its text, until it is parsed
  std::vector<crfs_extent> extents;    // what is saved
  std::optional<ImagePlace> image;     // of a mount: where to find it, too
};

struct TreeObject {
  const ObjectType* type = nullptr;
  std::string path;  // of its directory, from the root of the tree
  // Its name; a directory in place of a link to a task does not have one.
  std::optional<ObjectName> name;
  const TreeObject* owner = nullptr;
  std::vector<TreeFile> files;  // by Row::index
  TreeMemory memory;
  std::vector<std::unique_ptr<TreeObject>> children;  // what it owns, by type and key
  uint64_t id = 0;                                    // 0: not yet known

  TreeObject(const ObjectType* t, std::string p) : type(t), path(std::move(p)) {
    files.resize(t->rows.size());
  }
  const TreeFile& file(const Row& row) const { return files[row.index]; }
  TreeFile& file(const Row& row) { return files[row.index]; }
  // Of a row that is stored, or absent: its value, or 0.
  uint64_t Number(absl::string_view field) const {
    return files[type->Find(field)->index].value.number;
  }
  std::string PathOf(const Row& row) const { return path + "/" + std::string(row.path); }
};

// The row that a row shows: itself, or that of the object which a `via` row leads to.
// nullptr if there is none of that name.
const Row* ShownRow(const ObjectType& type, const Row& row);

inline bool IsVia(const Row& row) {
  return row.codec == Codec::kVia || row.codec == Codec::kViaLeader;
}

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_OBJECT_H_
