// SPDX-License-Identifier: Apache-2.0

#include "index/row_files.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/pagemap.h"

namespace crfs {
namespace {

absl::Status NoFile(const Row& row) {
  return absl::NotFoundError(absl::StrCat("there is no ", row.path));
}

std::vector<absl::string_view> Components(absl::string_view path) {
  return absl::StrSplit(path, '/', absl::SkipEmpty());
}

// Directories between the root of the tree and what lies in an object's directory.
size_t DepthOf(const ObjectType& type) {
  const size_t own = Components(type.place).size() + (type.key == Key::kSingle ? 0 : 1);
  const ObjectType* owner = OwnerOf(type);
  return owner == nullptr ? own : DepthOf(*owner) + own;
}

const ObjectType& Outermost(const ObjectType& type) {
  const ObjectType* owner = OwnerOf(type);
  return owner == nullptr ? type : Outermost(*owner);
}

// From a directory `depth` below the root, that begins with the folder `from`, to the
// folder `to`, both from the root; with a slash at its end.
std::string RelativeFolder(absl::string_view from, size_t depth, absl::string_view to) {
  const auto from_parts = Components(from);
  const auto to_parts = Components(to);
  const size_t most = std::min(from_parts.size(), to_parts.size());
  size_t common = 0;
  while (common < most && from_parts[common] == to_parts[common]) ++common;
  std::string path;
  for (size_t i = common; i < depth; ++i) path += "../";
  for (size_t i = common; i < to_parts.size(); ++i) absl::StrAppend(&path, to_parts[i], "/");
  return path;
}

}  // namespace

// The object whose row a kVia row shows.
absl::StatusOr<std::shared_ptr<const Object>> RowFiles::Follow(const Object& object,
                                                               const Row& row) const {
  const ObjectView& view = object.view();
  if (row.codec == Codec::kViaLeader) {
    static const ObjectType& thread = *FindType(CRFS_TAG_thread);
    auto id = index_->FindKey(thread, view.id(), view.KeyNumber());
    if (!id.ok()) return id.status();
    return objects_->Get(thread, *id);
  }
  const Row& reference = *view.type().Find(row.target);
  const uint64_t id = view.Number(reference);
  if (id == 0) return NoFile(row);
  return objects_->Get(TargetOf(reference), id);
}

absl::StatusOr<ShownRow> RowFiles::Resolve(const std::shared_ptr<const Object>& object,
                                           const Row& row) const {
  ShownRow shown{object, &row};
  if (row.codec == Codec::kVia || row.codec == Codec::kViaLeader) {
    auto holder = Follow(*object, row);
    if (!holder.ok()) return holder.status();
    shown.object = *std::move(holder);
    shown.row = shown.object->view().type().Find(row.field);
    if (shown.row == nullptr) return NoFile(row);
  }
  if (shown.row->wire == Wire::kNone) return shown;
  const ObjectView& view = shown.object->view();
  if (!view.Has(*shown.row)) return NoFile(row);
  if (shown.is_link() && view.Number(*shown.row) == 0) return NoFile(row);
  return shown;
}

absl::StatusOr<std::string> RowFiles::Text(const ShownRow& shown) const {
  const ObjectView& view = shown.object->view();
  const Row& row = *shown.row;
  switch (row.codec) {
    case Codec::kId:
      return absl::StrCat(view.id(), "\n");
    case Codec::kFormat:
      return absl::StrCat(index_->format(), "\n");
    case Codec::kRefs: {
      auto refs = index_->CountRefs(view.type(), view.id());
      if (!refs.ok()) return refs.status();
      return absl::StrCat(*refs, "\n");
    }
    case Codec::kPagemap: {
      auto extents = index_->ListExtents(view.type(), view.id());
      if (!extents.ok()) return extents.status();
      std::string text;
      for (const SavedExtent& extent : *extents) {
        AppendPagemapLine(&text, extent.offset, extent.length);
      }
      return text;
    }
    default:
      break;
  }
  if (row.wire == Wire::kNone) return absl::InternalError(absl::StrCat(row.path, " has no text"));
  Value value;
  if (row.wire == Wire::kBytes) {
    value.bytes = std::string(view.Bytes(row));
  } else {
    value.number = view.Number(row);
  }
  return FormatValue(row, value);
}

absl::StatusOr<std::string> RowFiles::LinkTarget(const ShownRow& shown, const ObjectType& type,
                                                 const ShapeNode& node) const {
  const ObjectType& target = TargetOf(*shown.row);
  const uint64_t id = shown.object->view().Number(*shown.row);
  const std::string folder =
      RelativeFolder(Outermost(type).place, DepthOf(type) + node.depth - 1, target.place);
  if (target.key == Key::kId) return absl::StrCat(folder, id);
  // No row refers to a type that has an owner: its folder is known.
  auto object = objects_->Get(target, id);
  if (!object.ok()) return object.status();
  return absl::StrCat(folder, (*object)->view().DirectoryName());
}

}  // namespace crfs
