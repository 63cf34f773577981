// SPDX-License-Identifier: Apache-2.0
//
// Extended attributes of an edited tree: what the schema says of a file, and what people keep.

#include <sys/xattr.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/edit_error.h"
#include "index/edited_tree.h"
#include "index/image_place.h"
#include "index/index.h"
#include "index/inodes.h"
#include "index/object_name.h"
#include "index/tree_state.h"

namespace crfs {
namespace {

constexpr size_t kXattrMax = 64 << 10;

}  // namespace

absl::Status EditedTree::SetXattr(Inode inode, absl::string_view name, absl::string_view value,
                                  int flags) {
  if (absl::StartsWith(name, kXattrsPrefix)) return EditError(EPERM, "is the tree's own");
  if (name.size() > kNameMax || value.size() > kXattrMax) return EditError(ERANGE, "is too long");
  const MutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (!node.ok()) return node.status();
  const auto old = store_->Xattr(inode, name);
  if (!old.ok()) return old.status();
  if ((flags & XATTR_CREATE) != 0 && old->has_value()) return EditError(EEXIST, "is there already");
  if ((flags & XATTR_REPLACE) != 0 && !old->has_value()) {
    return EditError(ENODATA, "there is no such attribute");
  }
  EditBatch batch;
  batch.PutXattr(inode, name, value);
  return store_->Write(batch);
}

absl::Status EditedTree::RemoveXattr(Inode inode, absl::string_view name) {
  if (absl::StartsWith(name, kXattrsPrefix)) return EditError(EPERM, "is the tree's own");
  const MutexLock lock(&mutex_);
  const auto old = store_->Xattr(inode, name);
  if (!old.ok()) return old.status();
  if (!old->has_value()) return EditError(ENODATA, "there is no such attribute");
  EditBatch batch;
  batch.DropXattr(inode, name);
  return store_->Write(batch);
}

// What the schema says of a node, as Tree says it of the image's.
absl::StatusOr<std::string> EditedTree::GetXattr(Inode inode, absl::string_view name) const {
  const ReaderMutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (!node.ok()) return node.status();
  const absl::Status none = EditError(ENODATA, "there is no such attribute");
  if (!absl::StartsWith(name, kXattrsPrefix)) {
    auto value = store_->Xattr(inode, name);
    if (!value.ok()) return value.status();
    if (!value->has_value()) return none;
    return **std::move(value);
  }
  absl::string_view rest = name.substr(kXattrsPrefix.size());
  if (rest == "error") {
    const MutexLock errors(&errors_mutex_);
    const auto found = errors_.find(inode);
    if (found == errors_.end()) return none;
    return found->second;
  }
  if (name == kImageXattr) {
    auto value = ImageXattrOf(*node);
    if (!value.has_value()) return none;
    return *std::move(value);
  }
  auto value = SchemaXattrOf(*node, rest);
  if (!value.has_value()) return none;
  return *std::move(value);
}

std::optional<std::string> EditedTree::ImageXattrOf(const EditNode& node) const {
  const Row* row = node.role.row();
  if (row == nullptr || row->codec != Codec::kPages || !IsMemoryNode(node)) return std::nullopt;
  // What was moved here from elsewhere stands there under another name.
  const bool is_own = IsInImage(node.inode) && IsInImage(node.role.object) &&
                      Split(node.inode).id == Split(node.role.object).id;
  if (!is_own || node.record.is_whole) return std::nullopt;
  auto memory = MemoryOf(node);
  if (!memory.ok()) return std::nullopt;
  return ImageXattr(base_->image_fd(), Split(node.inode).id, (*memory)->Changed());
}

std::optional<std::string> EditedTree::SchemaXattrOf(const EditNode& node,
                                                     absl::string_view name) const {
  crfs::Place place{};
  place.kind = node.role.type == nullptr ? crfs::Place::Kind::kFixed : crfs::Place::Kind::kObject;
  if (node.role.kind == Role::Kind::kScratch) return std::nullopt;
  place.type = node.role.type;
  place.node = node.role.node;
  if (IsInImage(node.role.object)) {
    place.id = Split(node.role.object).id;
  } else if (node.role.type != nullptr) {
    if (name == "id" && node.role.type->key != Key::kId) return std::nullopt;
    auto object = NodeOf(node.role.object);
    if (!object.ok()) return std::nullopt;
    const auto parsed = ParseObjectName(*node.role.type, object->record.name);
    if (!parsed.has_value()) return std::nullopt;
    place.id = parsed->key;
  }
  return SchemaXattr(place, name);
}

std::vector<std::string> EditedTree::ListXattrs(Inode inode) const {
  const ReaderMutexLock lock(&mutex_);
  std::vector<std::string> names;
  auto node = NodeOf(inode);
  if (!node.ok()) return names;
  for (const absl::string_view name : kSchemaXattrs) {
    if (SchemaXattrOf(*node, name).has_value()) names.push_back(absl::StrCat(kXattrsPrefix, name));
  }
  {
    const MutexLock errors(&errors_mutex_);
    if (errors_.contains(inode)) names.push_back(absl::StrCat(kXattrsPrefix, "error"));
  }
  auto own = store_->Xattrs(inode);
  if (own.ok()) names.insert(names.end(), own->begin(), own->end());
  return names;
}

}  // namespace crfs
