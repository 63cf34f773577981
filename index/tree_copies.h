// SPDX-License-Identifier: Apache-2.0
//
// Several copies of one object in a tree (`rsync -L`) must say the same.

#ifndef CRFS_INDEX_TREE_COPIES_H_
#define CRFS_INDEX_TREE_COPIES_H_

#include "index/problem_list.h"
#include "index/tree_index.h"

namespace crfs {

// Notes each file that differs from the one it is a copy of. `root` is a descriptor of the
// tree's directory.
void CompareCopies(int root, const TreeIndex& index, ProblemList& problems);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_COPIES_H_
