// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a tree, gathered by several threads.

#ifndef CRFS_INDEX_PROBLEM_LIST_H_
#define CRFS_INDEX_PROBLEM_LIST_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "index/mutex.h"

namespace crfs {

// Any thread.
class ProblemList {
 public:
  // `root` stands before the path in each message.
  explicit ProblemList(std::string root) : root_(std::move(root)) {}

  // `path` is from the root of the tree; the parts together say what is wrong and what to do.
  template <typename... Parts>
  void Add(absl::string_view path, const Parts&... parts) {
    std::string problem = absl::StrCat(Whole(path), ": ", parts...);
    const MutexLock lock(&mutex_);
    ++count_;
    if (problems_.size() < kKept) problems_.push_back(std::move(problem));
  }
  // As a message has it.
  std::string Whole(absl::string_view path) const {
    return path.empty() ? root_ : absl::StrCat(root_, "/", path);
  }

  bool empty() const {
    const MutexLock lock(&mutex_);
    return count_ == 0;
  }
  // In the order of their paths; after the first hundred only how many there are.
  std::vector<std::string> Take() {
    const MutexLock lock(&mutex_);
    std::sort(problems_.begin(), problems_.end());
    if (count_ > kShown) {
      problems_.resize(kShown);
      problems_.push_back(absl::StrCat(root_, ": and ", count_ - kShown, " more problems"));
    }
    return std::move(problems_);
  }

 private:
  static constexpr size_t kShown = 100;
  static constexpr size_t kKept = 10000;

  const std::string root_;
  mutable Mutex mutex_;
  std::vector<std::string> problems_ ABSL_GUARDED_BY(mutex_);
  uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_PROBLEM_LIST_H_
