// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_TREE_CONTENTS_H_
#define CRFS_INDEX_TREE_CONTENTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/byte_stream.h"
#include "index/tree.h"

namespace crfs {

// Whether the file holds memory (a `pages` row or a memory view): as long as an address
// space, and mostly holes.
bool IsMemory(const Tree& tree, Inode file);

// Writes all of a file; memory is bounded whatever its size. DATA_LOSS as Tree::Read.
absl::Status CopyContents(const Tree& tree, const Attributes& file, ByteSink& out);

// The whole of a small file.
absl::StatusOr<std::string> ReadContents(const Tree& tree, const Attributes& file);

// Adds the bytes of what was read. `image_fd` is the tree's.
absl::Status AppendContents(const Contents& contents, int image_fd, std::string* bytes);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_CONTENTS_H_
