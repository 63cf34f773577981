// SPDX-License-Identifier: Apache-2.0
//
// A small tree in a directory of its own, to be spoiled and made again.

#ifndef CRFS_TESTS_BAD_SCRATCH_TREE_H_
#define CRFS_TESTS_BAD_SCRATCH_TREE_H_

#include <string>

#include "tests/generate/write_tree.h"

namespace crfs {

// Of one task, 300, with the threads 300 and 301; of one of everything else at least.
class ScratchTree {
 public:
  explicit ScratchTree(const WriteTreeOptions& options = {});
  ~ScratchTree();
  ScratchTree(const ScratchTree&) = delete;
  ScratchTree& operator=(const ScratchTree&) = delete;

  const std::string& path() const { return path_; }
  // Puts it back as it was at first.
  void Reset();
  // Runs a script in its directory; false if that fails.
  bool Run(const std::string& script) const;

 private:
  std::string home_;
  std::string path_;  // home_/tree
};

}  // namespace crfs

#endif  // CRFS_TESTS_BAD_SCRATCH_TREE_H_
