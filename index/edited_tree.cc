// SPDX-License-Identifier: Apache-2.0

#include "index/edited_tree.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/edit_error.h"
#include "index/index.h"
#include "index/inodes.h"
#include "index/object_name.h"
#include "index/tree_state.h"

namespace crfs {
namespace {

// Where a listing goes on (Entry::next): below this among what the image and the schema give,
// as Tree::List says; above it by the numbers of entries in the store.
constexpr uint64_t kOwnEntries = uint64_t{1} << 60;

Inode ObjectOf(Inode inode) { return inode & ~Inode{0xfff}; }

absl::Status NoSuchName() { return EditError(ENOENT, "there is no such file"); }

uint64_t BlocksOf(uint64_t bytes) { return bytes / 512 + (bytes % 512 != 0); }

}  // namespace

absl::StatusOr<std::unique_ptr<EditableTree>> EditableTree::Open(const Index* base,
                                                                 const std::string& edits) {
  auto store = EditStore::Open(edits, base == nullptr ? "" : base->identity());
  if (!store.ok()) return store.status();
  return std::make_unique<EditedTree>(base, *std::move(store));
}

EditedTree::EditedTree(const Index* base, std::unique_ptr<EditStore> store)
    : index_(base),
      base_(base == nullptr ? nullptr : std::make_unique<const Tree>(base, TreeOptions())),
      store_(std::move(store)) {}
EditedTree::~EditedTree() = default;

// --- roles ---

Role EditedTree::Classify(const EditNode& directory, absl::string_view name, Inode inode) {
  Role role;
  if (!directory.role.is_directory()) return role;
  const ShapeNode& folder = *directory.role.node;
  if (const ShapeNode* node = directory.role.shape().Find(folder, name); node != nullptr) {
    role.kind = node->row == nullptr ? Role::Kind::kFolder : Role::Kind::kRow;
    role.type = directory.role.type;
    role.node = node;
    role.object = directory.role.object;
    return role;
  }
  for (const ObjectType* type : folder.types) {
    if (!ParseObjectName(*type, name).has_value()) continue;
    role.kind = Role::Kind::kObject;
    role.type = type;
    role.node = &ShapeOf(*type).nodes()[0];
    role.object = inode;
    return role;
  }
  return role;
}

absl::StatusOr<Role> EditedTree::RoleOf(Inode inode,
                                        const std::optional<NodeRecord>& record) const {
  if (record.has_value() && record->is_placed) {
    auto parent = NodeOf(record->parent);
    if (!parent.ok()) return parent.status();
    Role role = Classify(*parent, record->name, inode);
    // A file with the name of an object, and the other way round, is nothing that is known.
    const bool is_directory = record->kind == NodeRecord::kDirectory;
    if (role.kind != Role::Kind::kScratch && role.is_directory() != is_directory) return Role();
    return role;
  }
  const InodeParts parts = Split(inode);
  Role role;
  if (parts.area == 0) {
    const ShapeNode* node =
        parts.place == 0 ? nullptr : RootShape().AtPlace(static_cast<uint16_t>(parts.place - 1));
    if (node == nullptr || parts.id != 0) return NoSuchName();
    role.kind = Role::Kind::kFolder;
    role.node = node;
    return role;
  }
  if (parts.area == kEditsArea) {
    if (parts.place == 0) return NoSuchName();  // it would have a record
    auto object = NodeOf(ObjectOf(inode));
    if (!object.ok()) return object.status();
    if (object->role.kind != Role::Kind::kObject) return NoSuchName();
    role.type = object->role.type;
  } else if (parts.area <= ObjectTypes().size() && base_ != nullptr) {
    role.type = &ObjectTypes()[parts.area - 1u];
  } else {
    return NoSuchName();
  }
  role.node = ShapeOf(*role.type).AtPlace(parts.place);
  if (role.node == nullptr) return NoSuchName();
  role.object = ObjectOf(inode);
  role.kind = parts.place == 0            ? Role::Kind::kObject
              : role.node->row == nullptr ? Role::Kind::kFolder
                                          : Role::Kind::kRow;
  return role;
}

absl::StatusOr<EditNode> EditedTree::NodeOf(Inode inode) const {
  EditNode node;
  node.inode = inode;
  auto record = store_->Node(inode);
  if (!record.ok()) return record.status();
  auto role = RoleOf(inode, *record);
  if (!role.ok()) return role.status();
  node.role = *role;
  node.has_record = record->has_value();
  if (node.has_record) node.record = **std::move(record);
  const uint8_t area = Split(inode).area;
  node.is_beneath = base_ != nullptr && area != kEditsArea;
  return node;
}

absl::StatusOr<EditNode> EditedTree::DirectoryOf(Inode inode) const {
  auto node = NodeOf(inode);
  if (node.ok() && !node->is_directory()) return EditError(ENOTDIR, "is no directory");
  return node;
}

// --- names ---

absl::StatusOr<EditNode> EditedTree::FindGiven(const EditNode& directory,
                                               absl::string_view name) const {
  const Role role = Classify(directory, name, 0);
  if (role.kind == Role::Kind::kScratch) return NoSuchName();
  if (role.kind == Role::Kind::kObject) {
    if (!directory.is_beneath) return NoSuchName();
    const auto found = base_->Lookup(directory.inode, name);
    if (absl::IsNotFound(found.status())) return NoSuchName();
    if (!found.ok()) return found.status();
    return NodeOf(found->inode);
  }
  auto node = NodeOf(role.given());
  if (!node.ok()) return node.status();
  // Of what was made, only what was made is there: programs that copy into a directory which
  // they have just made take it for empty.
  if (role.object != 0 && !IsInImage(role.object)) {
    return node->has_record ? node : absl::StatusOr<EditNode>(NoSuchName());
  }
  if (role.kind == Role::Kind::kFolder) return node;
  const Row& row = *role.node->row;
  if (row.codec == Codec::kVia || row.codec == Codec::kViaLeader) {
    return ShownBy(*node).ok() ? node : absl::StatusOr<EditNode>(NoSuchName());
  }
  const auto found = base_->Lookup(directory.inode, name);
  if (absl::IsNotFound(found.status())) return NoSuchName();
  if (!found.ok()) return found.status();
  return node;
}

absl::StatusOr<EditNode> EditedTree::Find(const EditNode& directory, absl::string_view name) const {
  if (name.size() > kNameMax) return EditError(ENAMETOOLONG, "the name is too long");
  const auto entry = store_->Entry(directory.inode, name);
  if (!entry.ok()) return entry.status();
  if (entry->has_value()) {
    if ((*entry)->is_gone) return NoSuchName();
    return NodeOf((*entry)->inode);
  }
  return FindGiven(directory, name);
}

absl::StatusOr<Attributes> EditedTree::Lookup(Inode directory, absl::string_view name) const {
  const ReaderMutexLock lock(&mutex_);
  auto parent = DirectoryOf(directory);
  if (!parent.ok()) return parent.status();
  auto node = Find(*parent, name);
  if (!node.ok()) return node.status();
  return StatNode(*node);
}

absl::Status EditedTree::ListGiven(const EditNode& directory, uint64_t from, bool& go_on,
                                   absl::FunctionRef<bool(const Entry&)> visit) const {
  absl::Status failed;
  // An entry of the store hides the name, and comes later, if it leads somewhere.
  const auto show = [&](absl::string_view name, uint64_t next) {
    const auto entry = store_->Entry(directory.inode, name);
    if (!entry.ok() || entry->has_value()) {
      failed = entry.status();
      return failed.ok();
    }
    auto node = FindGiven(directory, name);
    if (absl::IsNotFound(node.status())) return true;
    auto attributes = node.ok() ? StatNode(*node) : absl::StatusOr<Attributes>(node.status());
    if (absl::IsNotFound(attributes.status())) return true;
    if (!attributes.ok()) {
      failed = attributes.status();
      return false;
    }
    go_on = visit({name, *attributes, next});
    return go_on;
  };
  const ShapeNode& folder = *directory.role.node;
  const std::vector<uint16_t>& nodes = folder.nodes;
  for (; from < nodes.size(); ++from) {
    if (!show(directory.role.shape().nodes()[nodes[from]].name, from + 1)) return failed;
  }
  if (!directory.is_beneath) return absl::OkStatus();
  // Of the image's own entries, objects are left.
  const absl::Status status =
      base_->List(directory.inode, std::max<uint64_t>(from, nodes.size()),
                  [&](const Entry& entry) { return show(std::string(entry.name), entry.next); });
  return failed.ok() ? status : failed;
}

absl::Status EditedTree::List(Inode directory, uint64_t from,
                              absl::FunctionRef<bool(const Entry&)> visit) const {
  const ReaderMutexLock lock(&mutex_);
  auto parent = DirectoryOf(directory);
  if (!parent.ok()) return parent.status();
  bool go_on = true;
  if (from < kOwnEntries && parent->role.is_directory()) {
    const absl::Status status = ListGiven(*parent, from, go_on, visit);
    if (!status.ok() || !go_on) return status;
  }
  absl::Status failed;
  const absl::Status status = store_->ListEntries(
      directory, from < kOwnEntries ? 0 : from - kOwnEntries,
      [&](absl::string_view name, uint64_t number) {
        auto node = Find(*parent, name);
        if (absl::IsNotFound(node.status())) return true;
        auto attributes = node.ok() ? StatNode(*node) : absl::StatusOr<Attributes>(node.status());
        if (!attributes.ok()) {
          failed = attributes.status();
          return false;
        }
        return visit({name, *attributes, kOwnEntries + number + 1});
      });
  return failed.ok() ? status : failed;
}

absl::StatusOr<Inode> EditedTree::ParentOf(const EditNode& node) const {
  if (node.record.is_placed) return node.record.parent;
  const Role& role = node.role;
  if (role.object == 0) return FixedInode(RootShape().nodes()[role.node->parent].place);
  if (role.kind != Role::Kind::kObject) {
    return role.object | ShapeOf(*role.type).nodes()[role.node->parent].place;
  }
  return base_->Parent(node.inode);
}

absl::StatusOr<Inode> EditedTree::Parent(Inode directory) const {
  const ReaderMutexLock lock(&mutex_);
  auto node = NodeOf(directory);
  if (!node.ok()) return node.status();
  return ParentOf(*node);
}

absl::StatusOr<std::string> EditedTree::NameOf(const EditNode& directory) const {
  if (directory.record.is_placed) return directory.record.name;
  if (directory.role.kind != Role::Kind::kObject) return std::string(directory.role.node->name);
  if (directory.role.type->key == Key::kSingle) {
    return std::string(SingleName(*directory.role.type));
  }
  auto object = index_->Get(*directory.role.type, Split(directory.inode).id);
  if (!object.ok()) return object.status();
  return object->view().DirectoryName();
}

absl::StatusOr<std::string> EditedTree::PathOf(Inode directory) const {
  std::string path;
  while (directory != kRootInode) {
    auto node = NodeOf(directory);
    if (!node.ok()) return node.status();
    auto name = NameOf(*node);
    if (!name.ok()) return name.status();
    path = path.empty() ? *name : absl::StrCat(*name, "/", path);
    auto parent = ParentOf(*node);
    if (!parent.ok()) return parent.status();
    directory = *parent;
  }
  return path;
}

absl::StatusOr<EditNode> EditedTree::FindPath(absl::string_view path) const {
  auto node = NodeOf(kRootInode);
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (const absl::string_view name : names) {
    if (!node.ok()) return node;
    if (!node->is_directory()) return EditError(ENOTDIR, "is no directory");
    node = Find(*node, name);
  }
  return node;
}

// --- attributes ---

// Without what a record says, and without a size.
absl::StatusOr<Attributes> EditedTree::GivenAttributes(const EditNode& node) const {
  Attributes attributes;
  const Role& role = node.role;
  const Row* const row = role.row();
  if (node.is_beneath) {
    const bool folder = row == nullptr;
    // A row may be shown that the image has no value for; its directory is there.
    auto beneath = base_->Stat(folder || role.object == 0 ? node.inode : role.object);
    if (!beneath.ok()) return beneath.status();
    attributes = *beneath;
    if (!folder) attributes.mode = S_IFREG | (row->access == Access::kRw ? 0600u : 0400u);
  } else if (role.object == 0) {
    attributes.mode = S_IFDIR | 0755;
    attributes.uid = ::geteuid();
    attributes.gid = ::getegid();
    attributes.time_ns = store_->made_ns();
  } else {
    auto object = NodeOf(role.object);
    if (!object.ok()) return object.status();
    attributes.uid = object->record.uid;
    attributes.gid = object->record.gid;
    attributes.time_ns = object->record.mtime_ns;
    attributes.mode = row == nullptr ? S_IFDIR | 0700u
                                     : S_IFREG | (row->access == Access::kDerived ? 0400u : 0600u);
  }
  attributes.inode = node.inode;
  attributes.nlink = 1;
  attributes.size = 0;
  attributes.blocks = 0;
  return attributes;
}

absl::StatusOr<Attributes> EditedTree::StatNode(const EditNode& node) const {
  Attributes attributes;
  const bool is_link = node.record.kind == NodeRecord::kLink;
  if (node.record.is_placed && Split(node.inode).area == kEditsArea) {
    attributes.inode = node.inode;
    attributes.mode = node.record.kind == NodeRecord::kDirectory ? S_IFDIR : S_IFREG;
  } else {
    auto given = GivenAttributes(node);
    if (!given.ok()) return given.status();
    attributes = *given;
  }
  if (node.has_record) {
    attributes.mode = (attributes.mode & S_IFMT) | node.record.mode;
    attributes.uid = node.record.uid;
    attributes.gid = node.record.gid;
    attributes.time_ns = node.record.mtime_ns;
  }
  if (node.is_directory()) return attributes;
  const Row* const row = node.role.row();
  const Row* shown = row;
  if (row != nullptr && (row->codec == Codec::kVia || row->codec == Codec::kViaLeader) &&
      !is_link && node.record.kind == NodeRecord::kFile) {
    auto file = ShownBy(node);
    if (file.ok() && file->role.row() != nullptr) shown = file->role.row();
  }
  if (is_link || (shown != nullptr && shown->codec == Codec::kRef && !node.record.has_contents &&
                  !node.record.is_large)) {
    auto target = LinkOf(node);
    if (!target.ok()) return target.status();
    attributes.mode = S_IFLNK | 0777;
    attributes.size = target->size();
    return attributes;
  }
  if (IsMemoryNode(node)) {
    auto memory = MemoryOf(node);
    if (!memory.ok()) return memory.status();
    attributes.size = (*memory)->size();
    if (node.is_beneath && !node.record.is_large) {
      auto beneath = base_->Stat(node.inode);
      if (!beneath.ok()) return beneath.status();
      attributes.blocks = beneath->blocks;
      return attributes;
    }
    auto blocks = (*memory)->blocks();
    if (!blocks.ok()) return blocks.status();
    attributes.blocks = *blocks;
    return attributes;
  }
  auto text = TextOf(node);
  if (!text.ok()) return text.status();
  attributes.size = text->size();
  attributes.blocks = BlocksOf(attributes.size);
  return attributes;
}

absl::StatusOr<Attributes> EditedTree::Stat(Inode inode) const {
  const ReaderMutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (!node.ok()) return node.status();
  return StatNode(*node);
}

absl::StatusOr<EditableTree::Space> EditedTree::Measure() const {
  struct statvfs numbers;
  if (::fstatvfs(store_->folder(), &numbers) != 0) {
    return EditError(errno, "the file system of the edits cannot be looked at");
  }
  return Space{.bytes = numbers.f_blocks * numbers.f_frsize,
               .free = numbers.f_bfree * numbers.f_frsize,
               .available = numbers.f_bavail * numbers.f_frsize,
               .objects = base_ == nullptr ? 0 : base_->object_count()};
}

}  // namespace crfs
