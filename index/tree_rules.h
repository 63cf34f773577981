// SPDX-License-Identifier: Apache-2.0
//
// What a tree must hold beyond what its files say one by one: values that are needed, files
// that are computed from others, and the rules of images (docs/image-format.md, "Rules") in
// terms of its files.

#ifndef CRFS_INDEX_TREE_RULES_H_
#define CRFS_INDEX_TREE_RULES_H_

#include "index/problem_list.h"
#include "index/tree_index.h"

namespace crfs {

// Notes each file that is missing, says other than what it is computed from, or breaks a
// rule.
void CheckTree(const TreeIndex& index, ProblemList& problems);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_RULES_H_
