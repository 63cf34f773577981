// SPDX-License-Identifier: Apache-2.0
//
// Puts the tree of an image into an ordinary directory without a mount, as the tools do that
// people copy with.

#ifndef CRFS_TESTS_GENERATE_WRITE_TREE_H_
#define CRFS_TESTS_GENERATE_WRITE_TREE_H_

#include <string>

#include "absl/status/status.h"
#include "index/tree.h"

namespace crfs {

struct WriteTreeOptions {
  bool links = true;  // false: directories in place of links, as `rsync -L` makes them
  bool holes = true;  // false: zeros in place of holes
};

// Makes `directory` and all below it. Errors name the file.
absl::Status WriteTree(const Tree& tree, const std::string& directory,
                       const WriteTreeOptions& options = {});

}  // namespace crfs

#endif  // CRFS_TESTS_GENERATE_WRITE_TREE_H_
