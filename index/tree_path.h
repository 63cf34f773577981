// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_TREE_PATH_H_
#define CRFS_INDEX_TREE_PATH_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/tree.h"

namespace crfs {

// The inode at `path` from the root of the tree, as path_resolution(7) finds it within the
// tree: symbolic links are followed, `..` of the root is the root, slashes at either end do
// not matter. `follow_last` says whether a link at the end is followed too. NOT_FOUND and
// FAILED_PRECONDITION name the part that is at fault.
absl::StatusOr<Inode> ResolvePath(const Tree& tree, absl::string_view path, bool follow_last);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_PATH_H_
