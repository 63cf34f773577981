// SPDX-License-Identifier: Apache-2.0
//
// The texts of files that were made last, whole: a file is asked for its size, then read
// piece by piece, perhaps by several programs in turns.

#ifndef CRFS_INDEX_TEXT_CACHE_H_
#define CRFS_INDEX_TEXT_CACHE_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "index/mutex.h"
#include "index/tree.h"

namespace crfs {

// Any thread.
class TextCache {
 public:
  // nullptr if there is none.
  std::shared_ptr<const std::string> Find(Inode file) const {
    const MutexLock lock(&mutex_);
    for (const Entry& entry : entries_) {
      if (entry.file == file) return entry.text;
    }
    return nullptr;
  }

  // In place of the oldest. Returns the text.
  std::shared_ptr<const std::string> Add(Inode file, std::string text) {
    auto shared = std::make_shared<const std::string>(std::move(text));
    const MutexLock lock(&mutex_);
    entries_[next_] = {file, shared};
    next_ = (next_ + 1) % entries_.size();
    return shared;
  }

 private:
  struct Entry {
    Inode file = 0;
    std::shared_ptr<const std::string> text;
  };
  mutable Mutex mutex_;
  std::array<Entry, 8> entries_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_TEXT_CACHE_H_
