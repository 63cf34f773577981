// SPDX-License-Identifier: Apache-2.0

#include "index/tree.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "index/tree_state.h"

namespace crfs {
namespace {

Piece BytesPiece(absl::string_view all, uint64_t offset, uint64_t length) {
  const absl::string_view part = all.substr(offset, std::min<uint64_t>(length, all.size()));
  return {.kind = Piece::Kind::kBytes, .length = part.size(), .bytes = std::string(part)};
}

}  // namespace

Tree::Tree(const Index* index, TreeOptions options)
    : state_(std::make_unique<State>(index, options)) {}
Tree::~Tree() = default;

absl::StatusOr<Attributes> Tree::Stat(Inode inode) const {
  auto place = State::Locate(inode);
  if (!place.ok()) return place.status();
  switch (place->kind) {
    case Place::Kind::kFixed:
      return state_->FixedAttributes(*place->node);
    case Place::Kind::kObject: {
      if (place->node->row == nullptr) {
        if (auto s = state_->index->Exists(*place->type, place->id); !s.ok()) return s;
        return state_->DirectoryAttributes(*place->type, place->id, *place->node);
      }
      auto object = state_->objects.Get(*place->type, place->id);
      if (!object.ok()) return object.status();
      return state_->RowAttributes(*object, *place->node);
    }
    case Place::Kind::kTaskViews:
      if (auto s = state_->index->Exists(*FindType(CRFS_TAG_task), place->id); !s.ok()) return s;
      break;
    default:
      break;
  }
  return state_->ViewAttributes(*place);
}

absl::StatusOr<Inode> Tree::Parent(Inode directory) const {
  auto place = State::Locate(directory);
  if (!place.ok()) return place.status();
  if (!place->is_directory()) return NotADirectory();
  switch (place->kind) {
    case Place::Kind::kFixed:
      return FixedInode(RootShape().nodes()[place->node->parent].place);
    case Place::Kind::kTaskViews:
      return ViewInode(0, kViewsPlace);
    case Place::Kind::kObject:
      break;
    default:
      return kRootInode;
  }
  const ObjectType& type = *place->type;
  if (place->node->place != 0) {
    return ObjectInode(type, place->id, ShapeOf(type).nodes()[place->node->parent].place);
  }
  const ObjectType* owner = OwnerOf(type);
  if (owner == nullptr) return FixedInode(RootShape().FolderOf(type)->place);
  auto object = state_->objects.Get(type, place->id);
  if (!object.ok()) return object.status();
  return ObjectInode(*owner, (*object)->view().OwnerId(), ShapeOf(*owner).FolderOf(type)->place);
}

absl::StatusOr<std::string> Tree::ReadLink(Inode link) const {
  auto place = State::Locate(link);
  if (!place.ok()) return place.status();
  if (place->kind != Place::Kind::kObject || place->node->row == nullptr) {
    return absl::FailedPreconditionError("not a symbolic link");
  }
  auto shown = state_->Show(*place);
  if (!shown.ok()) return shown.status();
  if (!shown->is_link()) return absl::FailedPreconditionError("not a symbolic link");
  return state_->rows.LinkTarget(*shown, *place->type, *place->node);
}

absl::StatusOr<Contents> Tree::Read(Inode file, uint64_t offset, uint64_t length) const {
  auto place = State::Locate(file);
  if (!place.ok()) return place.status();
  if (place->is_directory()) return NotAFile();
  auto memory = state_->MemoryOf(*place);
  if (!memory.ok()) return memory.status();
  if (*memory != nullptr) return (*memory)->Read(offset, length);

  Contents contents;
  if (place->kind == Place::Kind::kBlob) {
    const uint64_t size = state_->index->image_size();
    if (offset >= size || length == 0) return contents;
    length = std::min(length, size - offset);
    if (auto s = state_->index->VerifyData(offset, length); !s.ok()) return s;
    contents.push_back(
        {.kind = Piece::Kind::kImage, .length = length, .bytes = {}, .image_offset = offset});
    return contents;
  }
  if (place->kind == Place::Kind::kTaskView) {
    auto text = state_->ViewText(*place);
    if (!text.ok()) return text.status();
    if (offset < (*text)->size()) contents.push_back(BytesPiece(**text, offset, length));
    return contents;
  }
  auto shown = state_->Show(*place);
  if (!shown.ok()) return shown.status();
  if (shown->is_link()) return NotAFile();
  if (shown->is_raw()) {
    const absl::string_view raw = shown->raw();
    if (offset < raw.size()) contents.push_back(BytesPiece(raw, offset, length));
    return contents;
  }
  auto text = state_->RowText(file, *shown);
  if (!text.ok()) return text.status();
  if (offset < (*text)->size()) contents.push_back(BytesPiece(**text, offset, length));
  return contents;
}

absl::StatusOr<uint64_t> Tree::SeekData(Inode file, uint64_t offset) const {
  auto place = State::Locate(file);
  if (!place.ok()) return place.status();
  if (place->is_directory()) return NotAFile();
  auto memory = state_->MemoryOf(*place);
  if (!memory.ok()) return memory.status();
  if (*memory != nullptr) return (*memory)->SeekData(offset);
  auto attributes = Stat(file);
  if (!attributes.ok()) return attributes.status();
  if (offset >= attributes->size) return absl::OutOfRangeError("at the end of the file or beyond");
  return offset;
}

absl::StatusOr<uint64_t> Tree::SeekHole(Inode file, uint64_t offset) const {
  auto place = State::Locate(file);
  if (!place.ok()) return place.status();
  if (place->is_directory()) return NotAFile();
  auto memory = state_->MemoryOf(*place);
  if (!memory.ok()) return memory.status();
  if (*memory != nullptr) return (*memory)->SeekHole(offset);
  auto attributes = Stat(file);
  if (!attributes.ok()) return attributes.status();
  if (offset >= attributes->size) return absl::OutOfRangeError("at the end of the file or beyond");
  return attributes->size;
}

absl::StatusOr<Inode> Tree::Resolve(absl::string_view path) const {
  Inode inode = kRootInode;
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (const absl::string_view name : names) {
    auto attributes = Lookup(inode, name);
    if (!attributes.ok()) return attributes.status();
    inode = attributes->inode;
  }
  return inode;
}

uint64_t Tree::image_size() const { return state_->index->image_size(); }
uint64_t Tree::object_count() const {
  uint64_t count = 0;
  for (const ObjectType& type : ObjectTypes()) count += state_->index->Count(type);
  return count;
}
int Tree::image_fd() const { return state_->index->image_fd(); }

}  // namespace crfs
