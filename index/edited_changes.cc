// SPDX-License-Identifier: Apache-2.0
//
// Names and attributes of an edited tree: made, taken away, changed.

#include <linux/fs.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/edit_error.h"
#include "index/edited_tree.h"
#include "index/index.h"
#include "index/inodes.h"
#include "index/tree_link.h"

namespace crfs {
namespace {

absl::Status CheckName(absl::string_view name) {
  if (name.size() > kNameMax) return EditError(ENAMETOOLONG, "the name is too long");
  if (name.empty() || name == "." || name == ".." || absl::StrContains(name, '/')) {
    return EditError(EINVAL, "is no name");
  }
  return absl::OkStatus();
}

}  // namespace

// --- records and entries ---

NodeRecord EditedTree::NewRecord(NodeRecord::Kind kind, const EditNode& directory,
                                 absl::string_view name, mode_t mode, Caller caller) const {
  const int64_t now = absl::GetCurrentTimeNanos();
  return {.kind = kind,
          .is_placed = true,
          .is_whole = true,
          .mode = static_cast<uint32_t>(mode & 07777),
          .uid = caller.uid,
          .gid = caller.gid,
          .atime_ns = now,
          .mtime_ns = now,
          .parent = directory.inode,
          .name = std::string(name)};
}

absl::StatusOr<NodeRecord> EditedTree::RecordOf(const EditNode& node) const {
  if (node.has_record) return node.record;
  auto attributes = StatNode(node);
  if (!attributes.ok()) return attributes.status();
  NodeRecord record = node.record;
  record.kind = S_ISDIR(attributes->mode)   ? NodeRecord::kDirectory
                : S_ISLNK(attributes->mode) ? NodeRecord::kLink
                                            : NodeRecord::kFile;
  record.mode = attributes->mode & 07777;
  record.uid = attributes->uid;
  record.gid = attributes->gid;
  record.atime_ns = record.mtime_ns = attributes->time_ns;
  return record;
}

absl::Status EditedTree::Enter(const EditNode& directory, absl::string_view name, Inode inode,
                               EditBatch& batch) {
  const auto number = store_->NextNumber();
  if (!number.ok()) return number.status();
  const auto old = store_->Entry(directory.inode, name);
  if (!old.ok()) return old.status();
  if (old->has_value()) batch.DropEntry(directory.inode, name, **old);
  batch.PutEntry(directory.inode, name, {.is_gone = false, .inode = inode, .number = *number});
  return absl::OkStatus();
}

absl::StatusOr<EditNode> EditedTree::Place(const EditNode& directory, absl::string_view name,
                                           const NodeRecord& record, absl::string_view contents) {
  const auto number = store_->NextNumber();
  if (!number.ok()) return number.status();
  const Inode inode = MakeInode(kEditsArea, *number, 0);
  EditBatch batch;
  batch.PutNode(inode, record);
  if (record.has_contents) batch.PutContents(inode, contents);
  if (absl::Status status = Enter(directory, name, inode, batch); !status.ok()) return status;
  EditNode node;
  node.inode = inode;
  node.record = record;
  node.has_record = true;
  node.role = Classify(directory, name, inode);
  if (record.kind == NodeRecord::kLink) {
    absl::Status status = CountLink(node, contents, 1, batch);
    if (!status.ok()) return status;
  }
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  return NodeOf(inode);
}

absl::Status EditedTree::CountLink(const EditNode& node, absl::string_view text, int64_t difference,
                                   EditBatch& batch) const {
  const Row* row = node.role.row();
  if (row == nullptr || row->codec != Codec::kRef) return absl::OkStatus();
  auto parent = ParentOf(node);
  if (!parent.ok()) return parent.status();
  auto path = PathOf(*parent);
  if (!path.ok()) return path.status();
  const auto link =
      ParseLink(*node.role.type, *row, absl::StrCat(*path, "/", node.role.node->name), text);
  if (!link.ok() || link->kind != TreeFile::Kind::kLink) return absl::OkStatus();
  const uint32_t tag = TargetOf(*row).tag;
  batch.AddRefs(tag, link->value.number, difference);
  return absl::OkStatus();
}

absl::Status EditedTree::Remove(const EditNode& directory, absl::string_view name,
                                const EditNode& node, bool keep, EditBatch& batch) {
  const Role role = Classify(directory, name, 0);
  const auto entry = store_->Entry(directory.inode, name);
  if (!entry.ok()) return entry.status();
  if (entry->has_value()) batch.DropEntry(directory.inode, name, **entry);
  const Row* const row = role.row();
  if (node.record.kind == NodeRecord::kLink || (row != nullptr && row->codec == Codec::kRef)) {
    auto text = LinkOf(node);
    if (text.ok() && !keep) {
      absl::Status status = CountLink(node, *text, -1, batch);
      if (!status.ok()) return status;
    }
  }
  if (!keep) {
    const Inode last = node.role.kind == Role::Kind::kObject ? node.inode | 0xfff : node.inode;
    const absl::Status dropped = node.role.kind == Role::Kind::kFolder
                                     ? store_->DropFolder(node.inode, batch)
                                     : store_->DropNodes(node.inode, last, batch);
    if (!dropped.ok()) return dropped;
  }
  // What the image or the schema would show there is to stay away.
  if (role.kind != Role::Kind::kScratch) {
    batch.PutEntry(directory.inode, name, {.is_gone = true, .inode = 0, .number = 0});
  }
  return absl::OkStatus();
}

// --- made ---

absl::StatusOr<EditNode> EditedTree::FindRoom(Inode directory, absl::string_view name) const {
  auto parent = DirectoryOf(directory);
  if (!parent.ok()) return parent.status();
  auto there = Find(*parent, name);
  if (there.ok()) return EditError(EEXIST, "is there already");
  if (!absl::IsNotFound(there.status())) return there.status();
  return parent;
}

absl::StatusOr<Attributes> EditedTree::MakeDirectory(Inode directory, absl::string_view name,
                                                     mode_t mode, Caller caller) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  const MutexLock lock(&mutex_);
  auto parent = FindRoom(directory, name);
  if (!parent.ok()) return parent.status();
  const Role role = Classify(*parent, name, 0);
  if (role.kind == Role::Kind::kFolder) {
    // It was taken away, and is there again, with nothing in it: programs that copy take what
    // they have made for empty.
    const Inode inode = role.given();
    auto record = RecordOf({.inode = inode,
                            .role = role,
                            .record = {},
                            .is_beneath = base_ != nullptr && Split(inode).area != kEditsArea});
    if (!record.ok()) return record.status();
    record->mode = mode & 07777;
    record->uid = caller.uid;
    record->gid = caller.gid;
    EditBatch batch;
    batch.PutNode(inode, *record);
    for (const uint16_t child : role.node->nodes) {
      const ShapeNode& below = role.shape().nodes()[child];
      if (below.row != nullptr) continue;
      batch.PutEntry(inode, below.name, {.is_gone = true, .inode = 0, .number = 0});
    }
    const auto entry = store_->Entry(directory, name);
    if (!entry.ok()) return entry.status();
    if (entry->has_value()) batch.DropEntry(directory, name, **entry);
    if (absl::Status status = store_->Write(batch); !status.ok()) return status;
    auto node = NodeOf(inode);
    if (!node.ok()) return node.status();
    return StatNode(*node);
  }
  auto node =
      Place(*parent, name, NewRecord(NodeRecord::kDirectory, *parent, name, mode, caller), "");
  if (!node.ok()) return node.status();
  return StatNode(*node);
}

absl::StatusOr<Attributes> EditedTree::MakeLink(Inode directory, absl::string_view name,
                                                absl::string_view target, Caller caller) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  if (target.size() >= 4096) return EditError(ENAMETOOLONG, "the target is too long");
  const MutexLock lock(&mutex_);
  auto parent = FindRoom(directory, name);
  if (!parent.ok()) return parent.status();
  NodeRecord record = NewRecord(NodeRecord::kLink, *parent, name, 0777, caller);
  record.has_contents = true;
  auto node = Place(*parent, name, record, target);
  if (!node.ok()) return node.status();
  return StatNode(*node);
}

absl::StatusOr<EditableTree::Created> EditedTree::Create(Inode directory, absl::string_view name,
                                                         mode_t mode, bool exclusive, bool truncate,
                                                         Caller caller) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  Inode inode = 0;
  bool is_new = false;
  {
    const MutexLock lock(&mutex_);
    auto parent = DirectoryOf(directory);
    if (!parent.ok()) return parent.status();
    auto there = Find(*parent, name);
    if (there.ok()) {
      if (exclusive) return EditError(EEXIST, "is there already");
      if (there->is_directory()) return EditError(EISDIR, "is a directory");
      inode = there->inode;
    } else if (!absl::IsNotFound(there.status())) {
      return there.status();
    } else {
      NodeRecord record = NewRecord(NodeRecord::kFile, *parent, name, mode, caller);
      const Role role = Classify(*parent, name, 0);
      record.is_large = role.row() != nullptr && role.row()->codec == Codec::kPages;
      record.has_contents = !record.is_large;
      auto node = Place(*parent, name, record, "");
      if (!node.ok()) return node.status();
      inode = node->inode;
      is_new = true;
    }
  }
  // Of what is new, nothing is there, also where something is computed.
  auto file = Open(inode, true, truncate || is_new);
  if (!file.ok()) return file.status();
  auto attributes = Stat(inode);
  if (!attributes.ok()) return attributes.status();
  return Created{*attributes, *std::move(file)};
}

// --- taken away ---

absl::Status EditedTree::Unlink(Inode directory, absl::string_view name) {
  const MutexLock lock(&mutex_);
  auto parent = DirectoryOf(directory);
  if (!parent.ok()) return parent.status();
  auto node = Find(*parent, name);
  if (!node.ok()) return node.status();
  if (node->is_directory()) return EditError(EISDIR, "is a directory");
  EditBatch batch;
  if (absl::Status status = Remove(*parent, name, *node, false, batch); !status.ok()) return status;
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  SetError(node->inode, absl::OkStatus());
  // Whoever has it open keeps what the file of its data holds.
  if (node->record.is_large) store_->RemoveData(node->inode);
  ForgetMemory(node->inode);
  return absl::OkStatus();
}

absl::Status EditedTree::CheckEmpty(const EditNode& directory) const {
  const absl::Status not_empty = EditError(ENOTEMPTY, "is not empty");
  absl::Status found;
  const auto check = [&](absl::string_view name) {
    auto node = Find(directory, name);
    if (absl::IsNotFound(node.status())) return true;
    if (!node.ok()) {
      found = node.status();
    } else if (node->role.kind == Role::Kind::kFolder) {
      found = CheckEmpty(*node);
    } else {
      const Row* row = node->role.row();
      const bool computed = row != nullptr && row->wire == Wire::kNone && node->is_beneath &&
                            row->codec != Codec::kPages && row->codec != Codec::kPagemap &&
                            !node->record.has_contents;
      if (!computed) found = not_empty;
    }
    return found.ok();
  };
  if (directory.role.is_directory()) {
    bool go_on = true;
    const absl::Status status =
        ListGiven(directory, 0, go_on, [&](const Entry& entry) { return check(entry.name); });
    if (!status.ok()) return status;
    if (!found.ok()) return found;
  }
  const absl::Status status = store_->ListEntries(
      directory.inode, 0, [&](absl::string_view name, uint64_t) { return check(name); });
  return found.ok() ? status : found;
}

absl::Status EditedTree::RemoveDirectory(Inode directory, absl::string_view name) {
  const MutexLock lock(&mutex_);
  auto parent = DirectoryOf(directory);
  if (!parent.ok()) return parent.status();
  auto node = Find(*parent, name);
  if (!node.ok()) return node.status();
  if (!node->is_directory()) return EditError(ENOTDIR, "is no directory");
  if (absl::Status status = CheckEmpty(*node); !status.ok()) return status;
  EditBatch batch;
  if (absl::Status status = Remove(*parent, name, *node, false, batch); !status.ok()) return status;
  return store_->Write(batch);
}

// --- renamed ---

// A file takes the place of that of a row: as if its contents were written there.
absl::Status EditedTree::BecomeRow(const EditNode& source, const EditNode& place, EditBatch& batch,
                                   NodeRecord& record) {
  const Row& row = *place.role.row();
  if (record.kind == NodeRecord::kLink) return absl::OkStatus();  // judged at commit
  if (row.codec == Codec::kPages) {
    std::shared_ptr<EditMemory> memory;
    if (IsMemoryNode(source)) {
      auto open = MemoryOf(source);
      if (!open.ok()) return open.status();
      memory = *open;
    } else {
      auto text = TextOf(source);
      if (!text.ok()) return text.status();
      auto made = EditMemory::Open(store_.get(), source.inode, {});
      if (!made.ok()) return made.status();
      memory = *made;
      if (absl::Status status = memory->Write(0, *text); !status.ok()) return status;
      ForgetMemory(source.inode);
      record.is_large = true;
      record.is_whole = true;
      record.has_contents = false;
      batch.DropContents(source.inode);
    }
    auto wanted = MemorySize(place);
    if (!wanted.ok()) return wanted.status();
    if (!wanted->has_value() || **wanted == memory->size()) return absl::OkStatus();
    return EditError(EINVAL, absl::StrCat("is ", memory->size(), " bytes long, but its memory is ",
                                          **wanted, ": write as much"));
  }
  std::string text;
  if (IsMemoryNode(source)) {
    auto memory = MemoryOf(source);
    if (!memory.ok()) return memory.status();
    if ((*memory)->size() > kValueMax) return EditError(EINVAL, "is longer than any value");
    auto all = (*memory)->ReadAll();
    if (!all.ok()) return all.status();
    text = *std::move(all);
    record.is_large = false;
  } else {
    auto whole = TextOf(source);
    if (!whole.ok()) return whole.status();
    text = *std::move(whole);
  }
  auto kept = CheckValue(place, text);
  if (!kept.ok()) return kept.status();
  record.has_contents = true;
  batch.PutContents(source.inode, kept->has_value() ? **kept : text);
  return absl::OkStatus();
}

absl::Status EditedTree::Rename(Inode directory, absl::string_view name, Inode new_directory,
                                absl::string_view new_name, unsigned flags) {
  if ((flags & ~RENAME_NOREPLACE) != 0) return EditError(EINVAL, "cannot be renamed in this way");
  if (absl::Status status = CheckName(new_name); !status.ok()) return status;
  const MutexLock lock(&mutex_);
  auto from = DirectoryOf(directory);
  if (!from.ok()) return from.status();
  auto to = DirectoryOf(new_directory);
  if (!to.ok()) return to.status();
  auto source = Find(*from, name);
  if (!source.ok()) return source.status();
  auto target = Find(*to, new_name);
  const bool replaces = target.ok();
  if (!replaces && !absl::IsNotFound(target.status())) return target.status();
  if (replaces && (flags & RENAME_NOREPLACE) != 0) {
    return EditError(EEXIST, "is there already");
  }
  if (replaces && target->inode == source->inode) return absl::OkStatus();
  auto record = RecordOf(*source);
  if (!record.ok()) return record.status();
  EditBatch batch;
  if (source->is_directory()) {
    // As overlayfs does: mv(1) then copies.
    if (!source->record.is_placed) return EditError(EXDEV, "is of the image: copy it");
    if (replaces && !target->is_directory()) return EditError(ENOTDIR, "is no directory");
    for (Inode above = new_directory; above != kRootInode;) {
      if (above == source->inode) return EditError(EINVAL, "would lie in itself");
      auto node = NodeOf(above);
      if (!node.ok()) return node.status();
      auto parent = ParentOf(*node);
      if (!parent.ok()) return parent.status();
      above = *parent;
    }
    if (replaces) {
      if (absl::Status status = CheckEmpty(*target); !status.ok()) return status;
    }
  } else {
    if (replaces && target->is_directory()) return EditError(EISDIR, "is a directory");
    const bool given = !source->record.is_placed;
    if (given && !record->has_contents && !IsMemoryNode(*source)) {
      auto text = record->kind == NodeRecord::kLink ? LinkOf(*source) : TextOf(*source);
      if (!text.ok()) return text.status();
      record->has_contents = true;
      batch.PutContents(source->inode, *text);
    }
    if (given && IsMemoryNode(*source)) record->is_large = true;
    EditNode place;
    place.role = Classify(*to, new_name, 0);
    if (place.role.kind == Role::Kind::kRow) {
      if (replaces) {
        place.inode = target->inode;
        place.record = target->record;
        place.has_record = target->has_record;
        place.is_beneath = target->is_beneath;
      } else {
        place.inode = place.role.given();
      }
      const absl::Status status = BecomeRow(*source, place, batch, *record);
      SetError(source->inode, status);
      if (replaces) SetError(target->inode, status);
      if (!status.ok()) return status;
    }
  }
  record->is_placed = true;
  record->parent = new_directory;
  record->name = std::string(new_name);
  if (record->kind == NodeRecord::kLink) {
    auto text = LinkOf(*source);
    EditNode moved = *source;
    moved.record = *record;
    moved.role = Classify(*to, new_name, source->inode);
    if (text.ok()) {
      if (absl::Status s = CountLink(*source, *text, -1, batch); !s.ok()) return s;
      if (absl::Status s = CountLink(moved, *text, 1, batch); !s.ok()) return s;
    }
  }
  if (replaces) {
    if (absl::Status s = Remove(*to, new_name, *target, false, batch); !s.ok()) return s;
  }
  if (absl::Status s = Remove(*from, name, *source, true, batch); !s.ok()) return s;
  batch.PutNode(source->inode, *record);
  if (absl::Status s = Enter(*to, new_name, source->inode, batch); !s.ok()) return s;
  if (absl::Status s = store_->Write(batch); !s.ok()) return s;
  if (source->record.is_large && !record->is_large) {
    store_->RemoveData(source->inode);
    ForgetMemory(source->inode);
  }
  if (replaces && target->record.is_large) {
    store_->RemoveData(target->inode);
    ForgetMemory(target->inode);
  }
  return absl::OkStatus();
}

// --- attributes ---

absl::StatusOr<Attributes> EditedTree::SetAttributes(Inode inode, const AttributeChanges& changes) {
  if (changes.size.has_value()) {
    auto file = Open(inode, true, false);
    if (!file.ok()) return file.status();
    absl::Status status = (*file)->Truncate(*changes.size);
    if (status.ok()) status = (*file)->Flush();
    if (!status.ok()) return status;
  }
  const MutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (!node.ok()) return node.status();
  auto record = RecordOf(*node);
  if (!record.ok()) return record.status();
  if (changes.mode.has_value()) record->mode = *changes.mode & 07777;
  if (changes.uid.has_value()) record->uid = *changes.uid;
  if (changes.gid.has_value()) record->gid = *changes.gid;
  if (changes.atime_ns.has_value()) record->atime_ns = *changes.atime_ns;
  if (changes.mtime_ns.has_value()) record->mtime_ns = *changes.mtime_ns;
  EditBatch batch;
  batch.PutNode(inode, *record);
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  node = NodeOf(inode);
  if (!node.ok()) return node.status();
  return StatNode(*node);
}

}  // namespace crfs
