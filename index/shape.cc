// SPDX-License-Identifier: Apache-2.0

#include "index/shape.h"

#include <cassert>
#include <utility>

namespace crfs {
namespace {

constexpr uint16_t kFirstDirectoryPlace = 2048;

// "a/b/c" is "a/b" and "c"; "c" is "" and "c".
std::pair<absl::string_view, absl::string_view> SplitLast(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

class ShapeBuilder {
 public:
  ShapeBuilder() {
    shape_.nodes_.emplace_back();
    shape_.by_place_.resize(Shape::kPlacesMax);
    shape_.by_place_[0] = 1;
    shape_.folders_.resize(ObjectTypes().size());
  }

  void AddRow(const Row& row) {
    const auto [directory, name] = SplitLast(row.path);
    AddNode(AddDirectory(directory), name, static_cast<uint16_t>(1 + row.index), &row);
  }

  // The directory at `path`, made if need be with those above it.
  uint16_t AddDirectory(absl::string_view path) {
    if (path.empty()) return 0;
    const auto [above, name] = SplitLast(path);
    const uint16_t parent = AddDirectory(above);
    const auto it = shape_.by_name_.find({parent, name});
    if (it != shape_.by_name_.end()) return it->second;
    return AddNode(parent, name, next_directory_++, nullptr);
  }

  void AddType(const ObjectType& type, absl::string_view folder) {
    const uint16_t index = AddDirectory(folder);
    shape_.nodes_[index].types.push_back(&type);
    shape_.folders_[type.index] = static_cast<uint16_t>(index + 1);
  }

  Shape Build() { return std::move(shape_); }

 private:
  uint16_t AddNode(uint16_t parent, absl::string_view name, uint16_t place, const Row* row) {
    const auto index = static_cast<uint16_t>(shape_.nodes_.size());
    assert(place < Shape::kPlacesMax && shape_.by_place_[place] == 0);
    ShapeNode node;
    node.place = place;
    node.name = name;
    node.row = row;
    node.parent = parent;
    node.depth = static_cast<uint16_t>(shape_.nodes_[parent].depth + 1);
    shape_.nodes_.push_back(std::move(node));
    shape_.nodes_[parent].nodes.push_back(index);
    if (row == nullptr) ++shape_.nodes_[parent].directories;
    shape_.by_place_[place] = static_cast<uint16_t>(index + 1);
    shape_.by_name_[{parent, name}] = index;
    return index;
  }

  Shape shape_;
  uint16_t next_directory_ = kFirstDirectoryPlace;
};

const ShapeNode* Shape::AtPlace(uint16_t place) const {
  if (place >= kPlacesMax || by_place_[place] == 0) return nullptr;
  return &nodes_[by_place_[place] - 1u];
}

const ShapeNode* Shape::Find(const ShapeNode& directory, absl::string_view name) const {
  const auto it = by_name_.find({IndexOf(directory), name});
  return it == by_name_.end() ? nullptr : &nodes_[it->second];
}

const ShapeNode* Shape::FolderOf(const ObjectType& type) const {
  const uint16_t folder = folders_[type.index];
  return folder == 0 ? nullptr : &nodes_[folder - 1u];
}

const Shape& ShapeOf(const ObjectType& type) {
  static const std::vector<Shape>& shapes = *[] {
    auto* all = new std::vector<Shape>;
    for (const ObjectType& each : ObjectTypes()) {
      ShapeBuilder builder;
      for (const Row& row : each.rows) {
        if (!row.path.empty()) builder.AddRow(row);
      }
      for (const ObjectType& child : ObjectTypes()) {
        if (child.owner == each.name) builder.AddType(child, child.place);
      }
      all->push_back(builder.Build());
    }
    return all;
  }();
  return shapes[type.index];
}

const Shape& RootShape() {
  static const Shape& shape = *[] {
    ShapeBuilder builder;
    for (const ObjectType& type : ObjectTypes()) {
      if (!type.owner.empty()) continue;
      const bool single = type.key == Key::kSingle;
      builder.AddType(type, single ? SplitLast(type.place).first : type.place);
    }
    return new Shape(builder.Build());
  }();
  return shape;
}

absl::string_view SingleName(const ObjectType& type) { return SplitLast(type.place).second; }

}  // namespace crfs
