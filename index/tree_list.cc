// SPDX-License-Identifier: Apache-2.0
//
// Names: finding and listing them.
//
// Where to go on after an entry (Entry::next) is a number that means the same at any time,
// so that listing needs no state and may start anywhere: among the entries that the schema
// gives, how many of them come before; after an object's directory, the object's id, and
// which of the folder's types it is of, from 1, above that. Objects are listed by key, and
// the id leads back to the key.

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/object_name.h"
#include "index/tree_state.h"

namespace crfs {
namespace {

constexpr int kIdBits = 44;

const ObjectType& TaskType() { return *FindType(CRFS_TAG_task); }

}  // namespace

Tree::State::Folder Tree::State::FolderOf(const Place& place) {
  static const ObjectType* const kTasks[] = {&TaskType()};
  switch (place.kind) {
    case Place::Kind::kFixed:
    case Place::Kind::kObject:
      return {place.node->types, place.id};
    case Place::Kind::kViews:
      return {kTasks, 0};
    default:
      return {};
  }
}

absl::StatusOr<uint64_t> Tree::State::FindChild(const ObjectType& type, uint64_t owner_id,
                                                absl::string_view name) const {
  const std::optional<ObjectName> parsed = ParseObjectName(type, name);
  if (!parsed.has_value()) return NoSuchFile();
  if (type.key == Key::kSingle) return index->checkpoint_id();
  auto id = index->FindKey(type, owner_id, parsed->key);
  if (!id.ok() || type.key != Key::kRange) return id;
  auto object = objects.Get(type, *id);
  if (!object.ok()) return object.status();
  if ((*object)->view().DirectoryName() != name) return NoSuchFile();
  return id;
}

absl::StatusOr<Attributes> Tree::State::ChildAttributes(const Place& folder, const ObjectType& type,
                                                        uint64_t id) const {
  if (folder.kind == Place::Kind::kViews) {
    return ViewAttributes({.kind = Place::Kind::kTaskViews, .id = id});
  }
  return DirectoryAttributes(type, id, ShapeOf(type).nodes()[0]);
}

// `from` 0: from the first object on; else as Entry::next says.
absl::Status Tree::State::ListChildren(const Place& place, uint64_t from,
                                       absl::FunctionRef<bool(const Entry&)> visit) const {
  const Folder folder = FolderOf(place);
  const uint64_t last_id = from & CRFS_ID_MAX;
  uint64_t ordinal = from >> kIdBits;
  uint64_t key = 0;
  if (ordinal > folder.types.size()) return absl::OkStatus();
  if (ordinal > 0) {
    const ObjectType& type = *folder.types[ordinal - 1];
    if (type.key == Key::kSingle) {
      ++ordinal;
    } else {
      auto last = objects.Get(type, last_id);
      if (!last.ok()) return last.status();
      if ((*last)->view().OwnerId() != folder.owner_id) return NoSuchFile();
      key = (*last)->view().KeyNumber() + 1;
      if (key == 0) ++ordinal;  // it was the greatest that there can be
    }
    --ordinal;
  }
  for (; ordinal < folder.types.size(); ++ordinal, key = 0) {
    const ObjectType& type = *folder.types[ordinal];
    absl::Status failed;
    bool stopped = false;
    auto show = [&](const std::string& name, uint64_t id) {
      auto attributes = ChildAttributes(place, type, id);
      if (!attributes.ok()) {
        failed = attributes.status();
        return false;
      }
      stopped = !visit({name, *attributes, (ordinal + 1) << kIdBits | id});
      return !stopped;
    };
    if (type.key == Key::kSingle) {
      show(std::string(SingleName(type)), index->checkpoint_id());
    } else {
      auto status = index->ListKeys(type, folder.owner_id, key, [&](uint64_t number, uint64_t id) {
        if (type.key == Key::kSignal) return show(FormatSignal(number), id);
        if (type.key != Key::kRange) return show(absl::StrCat(number), id);
        auto object = objects.Get(type, id);
        if (object.ok()) return show((*object)->view().DirectoryName(), id);
        failed = object.status();
        return false;
      });
      if (!status.ok()) return status;
    }
    if (!failed.ok()) return failed;
    if (stopped) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<Attributes> Tree::Lookup(Inode directory, absl::string_view name) const {
  auto place = State::Locate(directory);
  if (!place.ok()) return place.status();
  if (!place->is_directory()) return NotADirectory();
  switch (place->kind) {
    case Place::Kind::kFixed: {
      const ShapeNode* node = RootShape().Find(*place->node, name);
      if (node != nullptr) return state_->FixedAttributes(*node);
      if (directory == kRootInode && name == kViewsName) {
        return state_->ViewAttributes({.kind = Place::Kind::kViews});
      }
      break;
    }
    case Place::Kind::kObject: {
      const ShapeNode* node = ShapeOf(*place->type).Find(*place->node, name);
      if (node == nullptr) break;
      if (node->row == nullptr) {
        if (auto s = state_->index->Exists(*place->type, place->id); !s.ok()) return s;
        return state_->DirectoryAttributes(*place->type, place->id, *node);
      }
      auto object = state_->objects.Get(*place->type, place->id);
      if (!object.ok()) return object.status();
      return state_->RowAttributes(*object, *node);
    }
    case Place::Kind::kViews:
      if (name == kBlobName) {
        return state_->ViewAttributes({.kind = Place::Kind::kBlob});
      }
      break;
    default:
      for (const ViewFile& file : kViewFiles) {
        if (file.name != name) continue;
        return state_->ViewAttributes(
            {.kind = Place::Kind::kTaskView, .id = place->id, .view = file.place});
      }
      return NoSuchFile();
  }
  const State::Folder folder = State::FolderOf(*place);
  for (const ObjectType* type : folder.types) {
    auto id = state_->FindChild(*type, folder.owner_id, name);
    if (absl::IsNotFound(id.status())) continue;
    if (!id.ok()) return id.status();
    return state_->ChildAttributes(*place, *type, *id);
  }
  return NoSuchFile();
}

absl::Status Tree::List(Inode directory, uint64_t from,
                        absl::FunctionRef<bool(const Entry&)> visit) const {
  auto place = State::Locate(directory);
  if (!place.ok()) return place.status();
  if (!place->is_directory()) return NotADirectory();
  if (from >> kIdBits != 0) return state_->ListChildren(*place, from, visit);

  // The entries that the schema gives, by number.
  auto list = [&](size_t count, auto attributes_of) -> absl::StatusOr<bool> {
    for (; from < count; ++from) {
      absl::string_view name;
      absl::StatusOr<Attributes> attributes = attributes_of(from, &name);
      if (absl::IsNotFound(attributes.status())) continue;  // not in this object
      if (!attributes.ok()) return attributes.status();
      if (!visit({name, *attributes, from + 1})) return false;
    }
    return true;
  };
  absl::StatusOr<bool> go_on = true;
  switch (place->kind) {
    case Place::Kind::kFixed: {
      const auto& nodes = place->node->nodes;
      const bool views = directory == kRootInode && state_->options.list_views;
      go_on = list(nodes.size() + views, [&](uint64_t i, absl::string_view* name) {
        if (i == nodes.size()) {
          *name = kViewsName;
          return state_->ViewAttributes({.kind = Place::Kind::kViews});
        }
        const ShapeNode& node = RootShape().nodes()[nodes[i]];
        *name = node.name;
        return state_->FixedAttributes(node);
      });
      break;
    }
    case Place::Kind::kObject: {
      auto object = state_->objects.Get(*place->type, place->id);
      if (!object.ok()) return object.status();
      const auto& nodes = place->node->nodes;
      go_on = list(nodes.size(), [&](uint64_t i, absl::string_view* name) {
        const ShapeNode& node = ShapeOf(*place->type).nodes()[nodes[i]];
        *name = node.name;
        if (node.row != nullptr) return state_->RowAttributes(*object, node);
        return state_->DirectoryAttributes(*place->type, place->id, node);
      });
      break;
    }
    case Place::Kind::kViews:
      go_on = list(1, [&](uint64_t, absl::string_view* name) {
        *name = kBlobName;
        return state_->ViewAttributes({.kind = Place::Kind::kBlob});
      });
      break;
    default: {
      if (auto s = state_->index->Exists(TaskType(), place->id); !s.ok()) return s;
      go_on = list(std::size(kViewFiles), [&](uint64_t i, absl::string_view* name) {
        *name = kViewFiles[i].name;
        return state_->ViewAttributes(
            {.kind = Place::Kind::kTaskView, .id = place->id, .view = kViewFiles[i].place});
      });
      break;
    }
  }
  if (!go_on.ok()) return go_on.status();
  return *go_on ? state_->ListChildren(*place, 0, visit) : absl::OkStatus();
}

}  // namespace crfs
