// SPDX-License-Identifier: Apache-2.0

#include "index/tree_state.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/views.h"

namespace crfs {
namespace {

const ObjectType& TaskType() { return *FindType(CRFS_TAG_task); }
const ObjectType& MmType() { return *FindType(CRFS_TAG_mm); }

// Link counts are what they seem: 2 and one a subdirectory; or 1, which tells programs that
// nobody has counted.
uint32_t DirectoryLinks(uint64_t directories) {
  return directories < UINT32_MAX - 2 ? static_cast<uint32_t>(2 + directories) : 1;
}

// A text that is worth keeping: it is read in more than one piece, bytes.
constexpr size_t kLongText = 64 << 10;

uint64_t BlocksOf(uint64_t bytes) { return bytes / 512 + (bytes % 512 != 0); }

}  // namespace

absl::StatusOr<Place> Tree::State::Locate(Inode inode) {
  const InodeParts parts = Split(inode);
  if (parts.area == 0) {
    if (parts.id != 0 || parts.place == 0) return NoSuchFile();
    const ShapeNode* node = RootShape().AtPlace(static_cast<uint16_t>(parts.place - 1));
    if (node == nullptr) return NoSuchFile();
    return Place{.kind = Place::Kind::kFixed, .node = node};
  }
  if (parts.area == kViewsArea) {
    const auto view = static_cast<ViewPlace>(parts.place);
    if (parts.id == 0) {
      if (view == kViewsPlace) return Place{.kind = Place::Kind::kViews};
      if (view == kBlobPlace) return Place{.kind = Place::Kind::kBlob, .view = view};
      return NoSuchFile();
    }
    Place place{.kind = Place::Kind::kTaskView, .id = parts.id, .view = view};
    if (view == kTaskViewsPlace) {
      place.kind = Place::Kind::kTaskViews;
      return place;
    }
    for (const ViewFile& file : kViewFiles) {
      if (file.place == view) return place;
    }
    return NoSuchFile();
  }
  if (parts.area > ObjectTypes().size()) return NoSuchFile();
  const ObjectType& type = ObjectTypes()[parts.area - 1u];
  const ShapeNode* node = ShapeOf(type).AtPlace(parts.place);
  if (node == nullptr || parts.id == 0) return NoSuchFile();
  return Place{.kind = Place::Kind::kObject, .type = &type, .id = parts.id, .node = node};
}

Attributes Tree::State::Base(Inode inode, mode_t mode, Index::Owner owner) const {
  return {.inode = inode,
          .mode = mode,
          .uid = owner.uid,
          .gid = owner.gid,
          .time_ns = index->time_ns()};
}

absl::StatusOr<Attributes> Tree::State::FixedAttributes(const ShapeNode& node) const {
  // These show names alone, and lead to what may belong to several users.
  Attributes attributes = Base(FixedInode(node.place), S_IFDIR | 0755, index->main_owner());
  uint64_t directories = node.directories;
  for (const ObjectType* type : node.types) directories += index->Count(*type);
  if (node.place == 0 && options.list_views) ++directories;
  attributes.nlink = DirectoryLinks(directories);
  return attributes;
}

absl::StatusOr<Attributes> Tree::State::DirectoryAttributes(const ObjectType& type, uint64_t id,
                                                            const ShapeNode& node) const {
  auto owner = index->OwnerOf(type, id);
  if (!owner.ok()) return owner.status();
  Attributes attributes = Base(ObjectInode(type, id, node.place), S_IFDIR | 0700, *owner);
  // To count the objects within would be to list them.
  attributes.nlink = node.types.empty() ? DirectoryLinks(node.directories) : 1;
  return attributes;
}

absl::StatusOr<Attributes> Tree::State::RowAttributes(const std::shared_ptr<const Object>& object,
                                                      const ShapeNode& node) const {
  auto shown = rows.Resolve(object, *node.row);
  if (!shown.ok()) return shown.status();
  const ObjectView& view = object->view();
  auto owner = index->OwnerOf(view.type(), view.id());
  if (!owner.ok()) return owner.status();
  const mode_t permissions = node.row->access == Access::kRw ? 0600 : 0400;
  Attributes attributes =
      Base(ObjectInode(view.type(), view.id(), node.place), S_IFREG | permissions, *owner);
  if (shown->is_link()) {
    auto target = rows.LinkTarget(*shown, view.type(), node);
    if (!target.ok()) return target.status();
    attributes.mode = S_IFLNK | 0777;
    attributes.size = target->size();
    return attributes;
  }
  if (shown->is_memory()) {
    auto saved = index->SavedBytes(view.type(), view.id());
    if (!saved.ok()) return saved.status();
    attributes.size = ObjectMemorySize(view);
    attributes.blocks = BlocksOf(*saved);
    return attributes;
  }
  if (shown->is_raw()) {
    attributes.size = shown->raw().size();
  } else {
    auto text = RowText(attributes.inode, *shown);
    if (!text.ok()) return text.status();
    attributes.size = (*text)->size();
  }
  attributes.blocks = BlocksOf(attributes.size);
  return attributes;
}

absl::StatusOr<Attributes> Tree::State::ViewAttributes(const Place& place) const {
  switch (place.kind) {
    case Place::Kind::kViews: {
      Attributes attributes = Base(ViewInode(0, kViewsPlace), S_IFDIR | 0555, index->main_owner());
      attributes.nlink = DirectoryLinks(index->Count(TaskType()));
      return attributes;
    }
    case Place::Kind::kBlob: {
      // It holds what belongs to everybody in the image.
      const Index::Owner owner = index->one_owner() ? index->main_owner() : Index::Owner{0, 0};
      Attributes attributes = Base(ViewInode(0, kBlobPlace), S_IFREG | 0400, owner);
      attributes.size = index->image_size();
      attributes.blocks = BlocksOf(attributes.size);
      return attributes;
    }
    case Place::Kind::kTaskViews: {
      auto owner = index->OwnerOf(TaskType(), place.id);
      if (!owner.ok()) return owner.status();
      Attributes attributes = Base(ViewInode(place.id, kTaskViewsPlace), S_IFDIR | 0500, *owner);
      attributes.nlink = 2;
      return attributes;
    }
    default:
      break;
  }
  auto mm = MmOf(place.id);
  if (!mm.ok()) return mm.status();
  auto owner = place.view == kStatusPlace || *mm == 0 ? index->OwnerOf(TaskType(), place.id)
                                                      : index->OwnerOf(MmType(), *mm);
  if (!owner.ok()) return owner.status();
  Attributes attributes = Base(ViewInode(place.id, place.view), S_IFREG | 0400, *owner);
  if (place.view == kMemPlace) {
    auto memory = AddressSpace(index, &objects, *mm);
    if (!memory.ok()) return memory.status();
    auto saved = index->SavedBytes(MmType(), *mm);
    if (!saved.ok()) return saved.status();
    attributes.size = (*memory)->size();
    attributes.blocks = BlocksOf(*saved);
    return attributes;
  }
  auto text = ViewText(place);
  if (!text.ok()) return text.status();
  attributes.size = (*text)->size();
  attributes.blocks = BlocksOf(attributes.size);
  return attributes;
}

absl::StatusOr<ShownRow> Tree::State::Show(const Place& place) const {
  auto object = objects.Get(*place.type, place.id);
  if (!object.ok()) return object.status();
  return rows.Resolve(*object, *place.node->row);
}

absl::StatusOr<uint64_t> Tree::State::MmOf(uint64_t task_id) const {
  auto task = objects.Get(TaskType(), task_id);
  if (!task.ok()) return task.status();
  return (*task)->view().Number("mm");
}

absl::StatusOr<std::shared_ptr<const std::string>> Tree::State::RowText(
    Inode inode, const ShownRow& shown) const {
  const bool is_kept = shown.row->codec == Codec::kPagemap;
  if (is_kept) {
    if (auto text = texts_.Find(inode); text != nullptr) return text;
  }
  auto text = rows.Text(shown);
  if (!text.ok()) return text.status();
  // Others are soon made again, and would push out what is not.
  if (is_kept && text->size() >= kLongText) return texts_.Add(inode, *std::move(text));
  return std::make_shared<const std::string>(*std::move(text));
}

absl::StatusOr<std::shared_ptr<const std::string>> Tree::State::ViewText(const Place& place) const {
  const Inode inode = ViewInode(place.id, place.view);
  if (auto text = texts_.Find(inode); text != nullptr) return text;
  auto text = place.view == kMapsPlace ? MapsText(*index, objects, place.id)
                                       : StatusText(*index, objects, place.id);
  if (!text.ok()) return text.status();
  return texts_.Add(inode, *std::move(text));
}

absl::StatusOr<std::unique_ptr<Memory>> Tree::State::MemoryOf(const Place& place) const {
  if (place.kind == Place::Kind::kTaskView && place.view == kMemPlace) {
    auto mm = MmOf(place.id);
    if (!mm.ok()) return mm.status();
    return AddressSpace(index, &objects, *mm);
  }
  if (place.kind != Place::Kind::kObject || place.node->row == nullptr ||
      place.node->row->codec != Codec::kPages) {
    return nullptr;
  }
  auto object = objects.Get(*place.type, place.id);
  if (!object.ok()) return object.status();
  return ObjectMemory(index, &objects, *std::move(object));
}

}  // namespace crfs
