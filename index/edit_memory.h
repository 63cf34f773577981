// SPDX-License-Identifier: Apache-2.0
//
// A large file that is edited page by page: memory over that of an image, of which only the
// pages that were changed are kept, or a whole new file. What is written is kept at once.

#ifndef CRFS_INDEX_EDIT_MEMORY_H_
#define CRFS_INDEX_EDIT_MEMORY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/edit_store.h"
#include "index/mutex.h"
#include "index/tree.h"

namespace crfs {

// Any thread.
class EditMemory {
 public:
  struct Beneath {
    const Tree* tree = nullptr;  // nullptr: nothing
    Inode inode = 0;             // of the file in it
    uint64_t size = 0;           // bytes
  };
  // As the store knows `inode`. Where nothing is beneath, pages that are written as zeros are
  // told from others.
  static absl::StatusOr<std::shared_ptr<EditMemory>> Open(EditStore* store, Inode inode,
                                                          Beneath beneath);

  uint64_t size() const;
  // Of 512 bytes, that are really there.
  absl::StatusOr<uint64_t> blocks() const;
  absl::StatusOr<Contents> Read(uint64_t offset, uint64_t length) const;
  // The same as bytes; for files that fit in memory.
  absl::StatusOr<std::string> ReadAll() const;
  absl::StatusOr<uint64_t> SeekData(uint64_t offset) const;
  absl::StatusOr<uint64_t> SeekHole(uint64_t offset) const;

  absl::Status Write(uint64_t offset, absl::string_view bytes);
  absl::Status Truncate(uint64_t size);
  // The pages that lie wholly in the range are not saved any more; the rest of it is zero.
  absl::Status Punch(uint64_t offset, uint64_t length);
  // All of it is taken away, what is beneath too: as open(2) with O_TRUNC. What else is in the
  // batch becomes true with that.
  absl::Status Replace(EditBatch& batch);
  // Pages that are not as they are beneath, saved or not; ascending, apart.
  std::vector<crfs_extent> Changed() const;
  // fdatasync(2).
  absl::Status Sync() const;

  // What is saved: pages that hold something, and of others those that `declared` lists. Pages
  // that were written as zeros count where nothing is declared and `keep_zeros`.
  absl::StatusOr<std::vector<crfs_extent>> Saved(
      const std::optional<std::vector<crfs_extent>>& declared, bool keep_zeros) const;

 private:
  // Bytes of one state, to `end`; of the image they are saved there or not.
  struct Segment {
    uint64_t end;
    PageState state;
    bool has_data;
  };

  EditMemory(EditStore* store, Inode inode, Beneath beneath)
      : store_(store), inode_(inode), beneath_(beneath) {}
  bool is_whole() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return beneath_.tree == nullptr; }

  absl::StatusOr<Segment> At(uint64_t offset) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Contents> ReadLocked(uint64_t offset, uint64_t length) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> ReadPage(uint64_t offset) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status WritePages(uint64_t offset, absl::string_view pages, uint64_t size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetRun(uint64_t begin, uint64_t end, PageState state, EditBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<const UniqueFd>> File() const;

  EditStore* const store_;
  const Inode inode_;
  mutable Mutex mutex_;
  Beneath beneath_ ABSL_GUARDED_BY(mutex_);
  uint64_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  PageRuns runs_ ABSL_GUARDED_BY(mutex_);
  mutable Mutex file_mutex_;  // taken with mutex_ held, or alone
  mutable std::shared_ptr<const UniqueFd> file_ ABSL_GUARDED_BY(file_mutex_);
};

}  // namespace crfs

#endif  // CRFS_INDEX_EDIT_MEMORY_H_
