// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_SHOW_JSON_H_
#define CRFS_CLI_SHOW_JSON_H_

#include "absl/status/status.h"
#include "index/byte_stream.h"
#include "index/tree.h"

namespace crfs {

// Writes what stands at `inode` as one JSON value: a directory as an object of its entries,
// a file as a string without its last newline (or, where that is not text, as
// {"hex": "..."}), a link as {"link": TARGET}, memory as {"size": N, "saved": [[OFFSET,
// LENGTH], ...]}. Streams: memory does not grow with the tree.
absl::Status PrintJson(const Tree& tree, Inode inode, ByteSink& out);

}  // namespace crfs

#endif  // CRFS_CLI_SHOW_JSON_H_
