// SPDX-License-Identifier: Apache-2.0
//
// What stands in an object's directory, computed once for each type from the paths of its
// rows and the places of the types that it owns: a tree of nodes, each with a number (its
// place) that goes into inode numbers. Also the fixed folders that hold the objects without
// an owner. Immutable; any thread.

#ifndef CRFS_INDEX_SHAPE_H_
#define CRFS_INDEX_SHAPE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "index/schema.h"

namespace crfs {

// One file or directory of a shape. `row` is null for directories.
struct ShapeNode {
  uint16_t place = 0;
  absl::string_view name;  // of its last component; empty for the first node
  const Row* row = nullptr;
  uint16_t parent = 0;  // index of its node
  uint16_t depth = 0;   // directories between it and the shape's own
  // Of directories: nodes in the order in which they are listed, then the types whose
  // objects' directories follow.
  std::vector<uint16_t> nodes;
  std::vector<const ObjectType*> types;
  uint16_t directories = 0;  // of `nodes`
};

class Shape {
 public:
  // Places are below this (12 bits of an inode number).
  static constexpr uint16_t kPlacesMax = 1 << 12;

  // nodes()[0] is the directory itself, with place 0.
  std::span<const ShapeNode> nodes() const { return nodes_; }
  // nullptr if nothing has this place.
  const ShapeNode* AtPlace(uint16_t place) const;
  // The node of `directory` with this name, or nullptr.
  const ShapeNode* Find(const ShapeNode& directory, absl::string_view name) const;
  // Its index in nodes().
  uint16_t IndexOf(const ShapeNode& node) const {
    return static_cast<uint16_t>(&node - nodes_.data());
  }
  // The directory in which objects of `type` stand, or nullptr.
  const ShapeNode* FolderOf(const ObjectType& type) const;

 private:
  friend class ShapeBuilder;
  std::vector<ShapeNode> nodes_;
  std::vector<uint16_t> by_place_;  // index + 1, or 0
  absl::flat_hash_map<std::pair<uint16_t, absl::string_view>, uint16_t> by_name_;
  std::vector<uint16_t> folders_;  // by ObjectType::index: index + 1, or 0
};

// Of the directories of objects of one type. Places: 0 the directory itself, then 1 + the
// row's index for rows, so that rows added later move no other; directories from 2048 on.
const Shape& ShapeOf(const ObjectType& type);

// Of the root of the tree. Its nodes are fixed folders; the directories of Key::kSingle
// types are not nodes, their type is among the types of the folder that holds them. Places
// as above.
const Shape& RootShape();

// The last component of a single type's place, which names its only object.
absl::string_view SingleName(const ObjectType& type);

}  // namespace crfs

#endif  // CRFS_INDEX_SHAPE_H_
