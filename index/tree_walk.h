// SPDX-License-Identifier: Apache-2.0
//
// Reads all files of a tree, by several threads, into objects whose references are not yet
// looked up.

#ifndef CRFS_INDEX_TREE_WALK_H_
#define CRFS_INDEX_TREE_WALK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "index/problem_list.h"
#include "index/tree_object.h"

namespace crfs {

struct WalkedTree {
  // Those in the folders of the root, in no order. What they own, and copies in place of
  // links, hang on them.
  std::vector<std::unique_ptr<TreeObject>> objects;
  std::vector<std::string> leftovers;  // paths from the root
};

// `root` is a descriptor of the tree's directory. No thread outlives the call. An error is
// one of listing the root itself; all else goes to `problems`.
absl::StatusOr<WalkedTree> WalkTree(int root, ProblemList& problems);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_WALK_H_
