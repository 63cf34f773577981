// SPDX-License-Identifier: Apache-2.0
//
// Open files of an edited tree.

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/edit_error.h"
#include "index/edited_tree.h"
#include "index/inodes.h"
#include "index/tree_contents.h"

namespace crfs {
namespace {

constexpr uint64_t kSmallMax = 256 << 10;

}  // namespace

class EditedFile final : public OpenFile {
 public:
  EditedFile(EditedTree* tree, const EditNode& node, bool write, const Attributes& attributes,
             std::shared_ptr<EditMemory> memory)
      : tree_(tree),
        inode_(node.inode),
        is_row_(node.role.row() != nullptr),
        write_(write),
        attributes_(attributes),
        memory_(std::move(memory)) {}

  // Of a value, what was there is cut off. Before anybody else has it.
  void Cut() {
    const MutexLock lock(&mutex_);
    buffer_ = "";
    cut_ = true;
  }

  absl::StatusOr<Contents> Read(uint64_t offset, uint64_t length) const override {
    const MutexLock lock(&mutex_);
    if (memory_ != nullptr) return memory_->Read(offset, length);
    auto text = Text();
    if (!text.ok()) return text.status();
    Contents contents;
    if (offset < text->size()) {
      std::string part = text->substr(offset, length);
      const uint64_t size = part.size();
      contents.push_back({.kind = Piece::Kind::kBytes, .length = size, .bytes = std::move(part)});
    }
    return contents;
  }

  absl::Status Write(uint64_t offset, absl::string_view bytes) override {
    const MutexLock lock(&mutex_);
    if (!write_) return EditError(EBADF, "is not open for writing");
    keep_times_ = false;
    if (offset > INT64_MAX - bytes.size()) return EditError(EFBIG, "beyond what a file can be");
    const uint64_t end = offset + bytes.size();
    if (memory_ == nullptr) {
      if (absl::Status status = Buffer(); !status.ok()) return status;
      if (absl::Status status = Grow(end); !status.ok()) return status;
    }
    if (memory_ != nullptr) {
      if (absl::Status status = CheckEnd(end); !status.ok()) return status;
      written_ = true;
      return memory_->Write(offset, bytes);
    }
    if (buffer_->size() < end) buffer_->resize(end);
    buffer_->replace(offset, bytes.size(), bytes.data(), bytes.size());
    written_ = true;
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    const MutexLock lock(&mutex_);
    if (memory_ == nullptr) {
      if (absl::Status status = Buffer(); !status.ok()) return status;
      if (absl::Status status = Grow(size); !status.ok()) return status;
    }
    if (memory_ != nullptr) {
      if (absl::Status status = CheckEnd(size); !status.ok()) return status;
      return memory_->Truncate(size);
    }
    if (buffer_->size() == size) return absl::OkStatus();
    buffer_->resize(size);
    (size == 0 && !written_ ? cut_ : written_) = true;
    return absl::OkStatus();
  }

  absl::Status Allocate(uint64_t offset, uint64_t length, bool punch, bool keep_size) override {
    if (offset > INT64_MAX - length) return EditError(EFBIG, "beyond what a file can be");
    {
      const MutexLock lock(&mutex_);
      if (memory_ != nullptr && punch) return memory_->Punch(offset, length);
    }
    if (punch) return EditError(EOPNOTSUPP, "has no holes");
    auto now = Stat();
    if (!now.ok()) return now.status();
    if (keep_size || now->size >= offset + length) return absl::OkStatus();
    return Truncate(offset + length);
  }

  absl::StatusOr<uint64_t> SeekData(uint64_t offset) const override {
    const MutexLock lock(&mutex_);
    if (memory_ != nullptr) return memory_->SeekData(offset);
    auto text = Text();
    if (!text.ok()) return text.status();
    if (offset >= text->size()) return absl::OutOfRangeError("at the end of the file or beyond");
    return offset;
  }

  absl::StatusOr<uint64_t> SeekHole(uint64_t offset) const override {
    const MutexLock lock(&mutex_);
    if (memory_ != nullptr) return memory_->SeekHole(offset);
    auto text = Text();
    if (!text.ok()) return text.status();
    if (offset >= text->size()) return absl::OutOfRangeError("at the end of the file or beyond");
    return text->size();
  }

  absl::Status Flush() override {
    const MutexLock lock(&mutex_);
    return FlushLocked();
  }

  absl::Status Sync() override {
    const MutexLock lock(&mutex_);
    if (absl::Status status = FlushLocked(); !status.ok()) return status;
    if (memory_ != nullptr) {
      if (absl::Status status = memory_->Sync(); !status.ok()) return status;
    }
    return tree_->Sync();
  }

  void KeepTimes() override {
    const MutexLock lock(&mutex_);
    keep_times_ = true;
  }

  absl::StatusOr<Attributes> Stat() const override {
    const MutexLock lock(&mutex_);
    auto attributes = tree_->Stat(inode_);
    const bool is_unlinked = absl::IsNotFound(attributes.status());
    if (is_unlinked) {
      attributes = attributes_;
      attributes->nlink = 0;
    }
    if (!attributes.ok()) return attributes.status();
    if (memory_ != nullptr) {
      attributes->size = memory_->size();
    } else if (buffer_.has_value() && (written_ || cut_ || is_unlinked)) {
      // Once it is a value, that has the length of its one form; close(2) returns before we
      // hear that nobody has the file open any more.
      attributes->size = buffer_->size();
    }
    return attributes;
  }

 private:
  absl::StatusOr<std::string> Text() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (buffer_.has_value()) return *buffer_;
    const ReaderMutexLock lock(&tree_->mutex_);
    auto node = tree_->NodeOf(inode_);
    if (absl::IsNotFound(node.status())) return last_;
    if (!node.ok()) return node.status();
    auto text = tree_->TextOf(*node);
    if (text.ok()) last_ = *text;
    return text;
  }

  absl::Status Buffer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (buffer_.has_value()) return absl::OkStatus();
    auto text = Text();
    if (!text.ok()) return text.status();
    buffer_ = *std::move(text);
    return absl::OkStatus();
  }

  // A value has its limits; any other file that outgrows memory gets a file of its own.
  absl::Status Grow(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (size <= kSmallMax) return absl::OkStatus();
    const MutexLock lock(&tree_->mutex_);
    auto node = tree_->NodeOf(inode_);
    const bool is_row = node.ok() ? node->role.row() != nullptr : is_row_;
    if (is_row) {
      return size <= kValueMax ? absl::OkStatus() : EditError(EFBIG, "is longer than any value");
    }
    if (!node.ok()) return node.status();
    auto record = tree_->RecordOf(*node);
    if (!record.ok()) return record.status();
    record->is_large = true;
    record->is_whole = true;
    record->has_contents = false;
    EditBatch batch;
    batch.PutNode(inode_, *record);
    batch.DropContents(inode_);
    node->record = *record;
    node->has_record = true;
    auto memory = EditMemory::Open(tree_->store_.get(), inode_, {});
    if (!memory.ok()) return memory.status();
    if (absl::Status status = (*memory)->Write(0, *buffer_); !status.ok()) return status;
    if (absl::Status status = tree_->store_->Write(batch); !status.ok()) return status;
    {
      const MutexLock known(&tree_->memories_mutex_);
      tree_->memories_[inode_] = *memory;
    }
    memory_ = *std::move(memory);
    buffer_.reset();
    written_ = cut_ = false;
    return absl::OkStatus();
  }

  // Memory has an end that its mapping gives.
  absl::Status CheckEnd(uint64_t end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (end <= memory_->size()) return absl::OkStatus();
    const ReaderMutexLock lock(&tree_->mutex_);
    auto node = tree_->NodeOf(inode_);
    if (!node.ok() || node->role.row() == nullptr || node->role.row()->codec != Codec::kPages) {
      return absl::OkStatus();
    }
    auto size = tree_->MemorySize(*node);
    if (!size.ok() || !size->has_value() || end <= **size) return absl::OkStatus();
    return EditError(EFBIG, absl::StrCat("its memory is ", **size, " bytes long"));
  }

  absl::Status FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (memory_ != nullptr) {
      if (!written_) return absl::OkStatus();
      written_ = false;
      if (keep_times_) return absl::OkStatus();
      const MutexLock lock(&tree_->mutex_);
      auto node = tree_->NodeOf(inode_);
      if (absl::IsNotFound(node.status())) return absl::OkStatus();
      if (!node.ok()) return node.status();
      auto record = tree_->RecordOf(*node);
      if (!record.ok()) return record.status();
      record->mtime_ns = absl::GetCurrentTimeNanos();
      EditBatch batch;
      batch.PutNode(inode_, *record);
      return tree_->store_->Write(batch);
    }
    if (!buffer_.has_value() || (!written_ && !cut_)) return absl::OkStatus();
    const absl::Status status = tree_->FlushText(inode_, *buffer_, !written_, keep_times_);
    if (status.ok()) written_ = cut_ = false;
    return status;
  }

  EditedTree* const tree_;
  const Inode inode_;
  const bool is_row_;
  const bool write_;
  const Attributes attributes_;  // when it was opened
  mutable Mutex mutex_;          // taken before those of the tree
  std::shared_ptr<EditMemory> memory_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::string> buffer_ ABSL_GUARDED_BY(mutex_);  // what was written, or cut
  bool written_ ABSL_GUARDED_BY(mutex_) = false;               // since the last flush
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;
  bool keep_times_ ABSL_GUARDED_BY(mutex_) = false;   // see KeepTimes
  mutable std::string last_ ABSL_GUARDED_BY(mutex_);  // of a file that may have been unlinked
};

absl::StatusOr<std::unique_ptr<OpenFile>> EditedTree::Open(Inode file, bool write, bool truncate) {
  const MutexLock lock(&mutex_);
  auto node = NodeOf(file);
  if (!node.ok()) return node.status();
  if (node->is_directory()) return EditError(EISDIR, "is a directory");
  auto attributes = StatNode(*node);
  if (!attributes.ok()) return attributes.status();
  if (S_ISLNK(attributes->mode)) return EditError(ELOOP, "is a symbolic link");
  std::shared_ptr<EditMemory> memory;
  if (IsMemoryNode(*node)) {
    auto open = MemoryOf(*node);
    if (!open.ok()) return open.status();
    memory = *std::move(open);
    if (write && (!node->record.is_large || truncate)) {
      auto record = RecordOf(*node);
      if (!record.ok()) return record.status();
      record->is_large = true;
      record->is_whole |= truncate;
      EditBatch batch;
      batch.PutNode(file, *record);
      const absl::Status status = truncate ? memory->Replace(batch) : store_->Write(batch);
      if (!status.ok()) return status;
    }
  }
  const bool cut = truncate && memory == nullptr;
  auto opened =
      std::make_unique<EditedFile>(this, *node, write || truncate, *attributes, std::move(memory));
  if (cut) opened->Cut();
  return opened;
}

}  // namespace crfs
