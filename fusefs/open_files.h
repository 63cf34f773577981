// SPDX-License-Identifier: Apache-2.0
//
// The files of a writable mount that are open, and whose pages the kernel may still know.

#ifndef CRFS_FUSEFS_OPEN_FILES_H_
#define CRFS_FUSEFS_OPEN_FILES_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "index/editable_tree.h"
#include "index/mutex.h"

namespace crfs {

// What one open(2) has made.
struct Handle {
  Inode inode;
  bool writable;
  // Whether it is a value, which is parsed when it is closed: what is read may be other than
  // what was written.
  bool is_value;
  std::unique_ptr<OpenFile> file;
  std::atomic<bool> changed = false;  // since the last flush that went well
};

// Owns the open files, also those that are still open when the mount ends. Any thread.
class OpenFiles {
 public:
  // The number by which the kernel is to name it.
  uint64_t Add(std::shared_ptr<Handle> handle);
  // nullptr if there is none of that number.
  std::shared_ptr<Handle> Get(uint64_t number) const;
  void Close(uint64_t number);

  // Whether what stat(2) shows of a file may change without a call that says so, or has done
  // since `moment`: a value that is written has another length when it has been parsed.
  uint64_t Moment() const;
  bool IsUnsettled(Inode inode, uint64_t moment) const;
  // The one that was opened last, for writing if there are such ones; nullptr: it is not open.
  std::shared_ptr<Handle> LastOf(Inode inode) const;

  // All that have it open for writing.
  std::vector<std::shared_ptr<Handle>> WritersOf(Inode inode) const;

  // Whether the pages that the kernel keeps of a file from when it was open before are still
  // right. If not, those that it reads from now on are.
  bool KeepsPages(Inode inode);
  // Something has changed that may have changed other files: from now on, pages of none are
  // right, nor what has been said of any before.
  void ChangeOthers();

 private:
  mutable Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t moment_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<uint64_t, std::shared_ptr<Handle>> handles_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Inode, std::vector<std::shared_ptr<Handle>>> of_inode_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<Inode> with_pages_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_OPEN_FILES_H_
