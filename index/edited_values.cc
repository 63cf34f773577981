// SPDX-License-Identifier: Apache-2.0
//
// What the files of an edited tree hold, and what they take.

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/edit_error.h"
#include "index/edited_tree.h"
#include "index/index.h"
#include "index/inodes.h"
#include "index/object_name.h"
#include "index/pagemap.h"
#include "index/tree_contents.h"
#include "index/tree_link.h"
#include "index/tree_memory.h"

namespace crfs {
namespace {

absl::Status NotThere() { return EditError(ENOENT, "there is no such value"); }

}  // namespace

// --- reading ---

absl::StatusOr<EditNode> EditedTree::FindBelow(Inode directory, absl::string_view path) const {
  auto node = NodeOf(directory);
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/');
  for (const absl::string_view name : names) {
    if (!node.ok()) return node;
    if (!node->is_directory()) return NotThere();
    node = Find(*node, name);
  }
  return node;
}

absl::StatusOr<EditNode> EditedTree::ShownBy(const EditNode& node) const {
  const Row& row = *node.role.row();
  const ObjectType& type = *node.role.type;
  absl::StatusOr<EditNode> holder;
  if (row.codec == Codec::kViaLeader) {
    const ObjectType& thread = *FindType(CRFS_TAG_thread);
    auto task = NodeOf(node.role.object);
    if (!task.ok()) return task.status();
    auto name = NameOf(*task);
    if (!name.ok()) return name.status();
    holder = FindBelow(node.role.object, absl::StrCat(thread.place, "/", *name));
  } else {
    const Row& reference = *type.Find(row.target);
    auto link = FindBelow(node.role.object, reference.path);
    if (!link.ok()) return link.status();
    auto text = LinkOf(*link);
    if (!text.ok()) return text.status();
    auto path = PathOf(node.role.object);
    if (!path.ok()) return path.status();
    const auto target = FollowLink(absl::StrCat(*path, "/", reference.path), *text);
    if (!target.has_value()) return NotThere();
    holder = FindPath(*target);
    // A link to what it may not lead to would have us go round in circles.
    if (holder.ok() && holder->role.type != &TargetOf(reference)) return NotThere();
  }
  if (!holder.ok()) return holder.status();
  if (holder->role.kind != Role::Kind::kObject) return NotThere();
  const Row* shown = holder->role.type->Find(row.field);
  if (shown == nullptr || shown->path.empty()) return NotThere();
  return FindBelow(holder->inode, shown->path);
}

absl::StatusOr<std::string> EditedTree::LinkOf(const EditNode& node) const {
  if (node.record.has_contents) {
    auto contents = store_->Contents(node.inode);
    if (!contents.ok()) return contents.status();
    return contents->value_or("");
  }
  const Row* row = node.role.row();
  if (row != nullptr && IsVia(*row)) {
    auto shown = ShownBy(node);
    if (!shown.ok()) return shown.status();
    auto text = LinkOf(*shown);
    if (!text.ok()) return text.status();
    auto own = PathOf(node.role.object);
    auto parent = ParentOf(*shown);
    if (!own.ok()) return own.status();
    if (!parent.ok()) return parent.status();
    auto theirs = PathOf(*parent);
    if (!theirs.ok()) return theirs.status();
    const auto target = FollowLink(absl::StrCat(*theirs, "/link"), *text);
    if (!target.has_value()) return *text;
    std::string path;
    const auto depth = std::count(own->begin(), own->end(), '/') + 1 +
                       std::count(row->path.begin(), row->path.end(), '/');
    for (int64_t i = 0; i < depth; ++i) path += "../";
    return path + *target;
  }
  if (!node.is_beneath) return NotThere();
  return base_->ReadLink(node.inode);
}

absl::StatusOr<std::string> EditedTree::ReadLink(Inode link) const {
  const ReaderMutexLock lock(&mutex_);
  auto node = NodeOf(link);
  if (!node.ok()) return node.status();
  return LinkOf(*node);
}

absl::StatusOr<std::string> EditedTree::ComputedText(const EditNode& node) const {
  const Row& row = *node.role.row();
  const bool in_image = IsInImage(node.role.object);
  switch (row.codec) {
    case Codec::kId: {
      if (in_image) return absl::StrCat(Split(node.role.object).id, "\n");
      if (node.role.type->key != Key::kId) return NotThere();
      auto object = NodeOf(node.role.object);
      if (!object.ok()) return object.status();
      auto name = NameOf(*object);
      if (!name.ok()) return name.status();
      return *name + "\n";
    }
    case Codec::kFormat:
      return absl::StrCat(base_ == nullptr ? CRFS_FORMAT_VERSION : index_->format(), "\n");
    case Codec::kRefs: {
      uint64_t id = 0;
      int64_t count = 0;
      if (in_image) {
        id = Split(node.role.object).id;
        auto refs = index_->CountRefs(*node.role.type, id);
        if (!refs.ok()) return refs.status();
        count = static_cast<int64_t>(*refs);
      } else {
        auto object = NodeOf(node.role.object);
        if (!object.ok()) return object.status();
        auto name = NameOf(*object);
        if (!name.ok()) return name.status();
        const auto parsed = ParseObjectName(*node.role.type, *name);
        if (parsed.has_value()) id = parsed->key;
      }
      auto more = store_->Refs(node.role.type->tag, id);
      if (!more.ok()) return more.status();
      return absl::StrCat(std::max<int64_t>(count + *more, 0), "\n");
    }
    case Codec::kPagemap:
      return PagemapText(node);
    default: {
      auto shown = ShownBy(node);
      if (!shown.ok()) return shown.status();
      return TextOf(*shown);
    }
  }
}

absl::StatusOr<std::string> EditedTree::TextOf(const EditNode& node) const {
  const Row* const row = node.role.row();
  if (row != nullptr && row->wire == Wire::kNone && row->codec != Codec::kPages) {
    auto computed = ComputedText(node);
    // What was written before there was anything to compute it from.
    if (computed.ok() || !absl::IsNotFound(computed.status()) || !node.record.has_contents) {
      return computed;
    }
  }
  if (node.record.has_contents) {
    auto contents = store_->Contents(node.inode);
    if (!contents.ok()) return contents.status();
    return contents->value_or("");
  }
  if (!IsInImage(node.inode) || node.record.is_whole) return std::string();
  auto attributes = base_->Stat(node.inode);
  if (!attributes.ok()) return attributes.status();
  return ReadContents(*base_, *attributes);
}

bool EditedTree::IsComputed(Inode inode) const {
  const ReaderMutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (!node.ok() || node->role.row() == nullptr) return false;
  const Row& row = *node->role.row();
  return row.codec == Codec::kPagemap || row.codec == Codec::kRefs || IsVia(row);
}

// --- memory ---

bool EditedTree::IsMemoryNode(const EditNode& node) const {
  if (node.record.is_large) return true;
  const Row* row = node.role.row();
  return row != nullptr && row->codec == Codec::kPages && node.record.kind == NodeRecord::kFile &&
         !node.record.has_contents;
}

absl::StatusOr<std::shared_ptr<EditMemory>> EditedTree::MemoryOf(const EditNode& node) const {
  const MutexLock lock(&memories_mutex_);
  std::weak_ptr<EditMemory>& known = memories_[node.inode];
  if (std::shared_ptr<EditMemory> memory = known.lock()) return memory;
  EditMemory::Beneath beneath;
  if (IsInImage(node.inode) && !node.record.is_whole) {
    auto attributes = base_->Stat(node.inode);
    if (!attributes.ok()) return attributes.status();
    beneath = {.tree = base_.get(), .inode = node.inode, .size = attributes->size};
  }
  auto memory = EditMemory::Open(store_.get(), node.inode, beneath);
  if (!memory.ok()) return memory.status();
  known = *memory;
  // So that what nobody uses any more is not remembered for ever.
  if (memories_.size() > 4096) {
    absl::erase_if(memories_, [](const auto& each) { return each.second.expired(); });
  }
  return memory;
}

void EditedTree::ForgetMemory(Inode inode) const {
  const MutexLock lock(&memories_mutex_);
  memories_.erase(inode);
}

absl::StatusOr<std::optional<uint64_t>> EditedTree::MemorySize(const EditNode& node) const {
  auto object = NodeOf(node.role.object);
  if (!object.ok()) return object.status();
  if (node.role.type->key == Key::kRange) {
    auto name = NameOf(*object);
    if (!name.ok()) return name.status();
    const auto range = ParseObjectName(*node.role.type, *name);
    if (!range.has_value()) return std::nullopt;
    return std::min<uint64_t>(range->end - range->key, INT64_MAX);
  }
  auto size = FindBelow(node.role.object, "size");
  if (!size.ok()) return std::nullopt;
  auto text = TextOf(*size);
  uint64_t number;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripSuffix(*text, "\n"), &number)) return std::nullopt;
  return std::min<uint64_t>(number, INT64_MAX);
}

bool EditedTree::HasLink(Inode object, absl::string_view field) const {
  return FindBelow(object, field).ok();
}

absl::StatusOr<std::string> EditedTree::PagemapText(const EditNode& node) const {
  std::optional<std::vector<crfs_extent>> declared;
  std::string written;
  if (node.record.has_contents) {
    auto contents = store_->Contents(node.inode);
    if (!contents.ok()) return contents.status();
    written = contents->value_or("");
    auto extents = ParsePagemap(written, INT64_MAX, kTreePageSize);
    if (extents.ok()) declared = *std::move(extents);
  }
  auto pages = FindBelow(node.role.object, "pages");
  if (absl::IsNotFound(pages.status())) return written;
  if (!pages.ok()) return pages.status();
  const bool as_in_image = node.is_beneath && !node.record.has_contents && pages->is_beneath &&
                           !pages->record.is_large && IsInImage(node.inode);
  if (as_in_image) {
    auto attributes = base_->Stat(node.inode);
    if (!attributes.ok()) return attributes.status();
    return ReadContents(*base_, *attributes);
  }
  if (!IsMemoryNode(*pages)) return written;
  auto memory = MemoryOf(*pages);
  if (!memory.ok()) return memory.status();
  const bool keep_zeros = node.role.type->key == Key::kRange &&
                          (HasLink(node.role.object, "file") || HasLink(node.role.object, "shmem"));
  auto saved = (*memory)->Saved(declared, keep_zeros);
  if (!saved.ok()) return saved.status();
  std::string text;
  for (const crfs_extent& extent : *saved) AppendPagemapLine(&text, extent.offset, extent.length);
  return text;
}

// --- writing ---

absl::StatusOr<std::optional<std::string>> EditedTree::CheckValue(const EditNode& node,
                                                                  absl::string_view text) const {
  const Row& row = *node.role.row();
  const auto fixed = [&](absl::string_view why) {
    return EditError(EROFS, absl::StrCat(why, ": leave it as it is"));
  };
  const auto same_as = [&](absl::string_view shown) {
    return absl::StripSuffix(shown, "\n") == absl::StripSuffix(text, "\n");
  };
  const bool in_image = IsInImage(node.role.object);
  if (row.codec == Codec::kRef || row.codec == Codec::kPages) return std::string(text);
  if (row.codec == Codec::kPagemap) {
    auto parsed = ParsePagemap(text, INT64_MAX, kTreePageSize);
    if (!parsed.ok()) return EditError(EINVAL, parsed.status().message());
    return std::string(text);
  }
  if (row.wire == Wire::kNone) {
    auto computed = ComputedText(node);
    if (absl::IsNotFound(computed.status())) return std::string(text);  // judged at commit
    if (!computed.ok()) return computed.status();
    if (same_as(*computed)) return std::nullopt;
    // What it is computed from may come later: links, and files of other objects.
    if (!in_image && (row.codec == Codec::kRefs || IsVia(row))) return std::string(text);
    return fixed(
        absl::StrCat("is computed, and is ", EscapeText(absl::StripSuffix(*computed, "\n"))));
  }
  auto value = ParseValue(row, text);
  if (!value.ok()) {
    return EditError(absl::IsOutOfRange(value.status()) ? ERANGE : EINVAL,
                     value.status().message());
  }
  std::string canonical = FormatValue(row, *value);
  if (row.access != Access::kRo || !in_image || !node.is_beneath) return canonical;
  auto now = TextOf(node);
  if (absl::IsNotFound(now.status())) return canonical;
  if (!now.ok()) return now.status();
  // It may have been cut to nothing.
  if (*now == canonical) return std::nullopt;
  return fixed(absl::StrCat("is part of what the ", node.role.type->name, " is"));
}

absl::Status EditedTree::StoreText(EditNode node, absl::string_view text, bool keep_times) {
  auto record = RecordOf(node);
  if (!record.ok()) return record.status();
  record->has_contents = true;
  if (!keep_times) record->mtime_ns = absl::GetCurrentTimeNanos();
  EditBatch batch;
  batch.PutNode(node.inode, *record);
  batch.PutContents(node.inode, text);
  return store_->Write(batch);
}

absl::Status EditedTree::FlushText(Inode inode, absl::string_view text, bool only_cut,
                                   bool keep_times) {
  const MutexLock lock(&mutex_);
  auto node = NodeOf(inode);
  if (absl::IsNotFound(node.status())) return absl::OkStatus();  // unlinked meanwhile
  if (!node.ok()) return node.status();
  if (IsMemoryNode(*node)) {
    // It became memory when it was renamed.
    auto memory = MemoryOf(*node);
    if (!memory.ok()) return memory.status();
    absl::Status status = (*memory)->Truncate(text.size());
    if (status.ok()) status = (*memory)->Write(0, text);
    return status;
  }
  const Row* const row = node->role.row();
  if (row == nullptr || node->record.kind == NodeRecord::kLink)
    return StoreText(*node, text, keep_times);
  if (only_cut && text.empty()) {
    // Between `>` and what a shell writes then. A value that cannot change stays.
    const bool stays =
        row->wire == Wire::kNone || (row->access == Access::kRo && IsInImage(node->role.object));
    return stays ? absl::OkStatus() : StoreText(*node, text, keep_times);
  }
  auto kept = CheckValue(*node, text);
  SetError(inode, kept.status());
  if (!kept.ok()) return kept.status();
  return kept->has_value() ? StoreText(*node, **kept, keep_times) : absl::OkStatus();
}

void EditedTree::SetError(Inode inode, const absl::Status& status) const {
  const MutexLock lock(&errors_mutex_);
  if (status.ok()) {
    errors_.erase(inode);
  } else {
    errors_[inode] = std::string(status.message());
  }
}

}  // namespace crfs
