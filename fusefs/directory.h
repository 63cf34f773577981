// SPDX-License-Identifier: Apache-2.0
//
// Directories as the kernel reads them.

#ifndef CRFS_FUSEFS_DIRECTORY_H_
#define CRFS_FUSEFS_DIRECTORY_H_

#include <sys/types.h>

#include "fusefs/reply.h"
#include "index/tree.h"

namespace crfs {

// Answers with at most `size` bytes of entries of `directory`, beginning at `offset`: 0, or
// what was given with an entry before. With `attributes` the kernel gets to know each
// entry's inode too (readdirplus).
void ReplyEntries(const Tree& tree, Reply& reply, fuse_req_t request, Inode directory, size_t size,
                  off_t offset, bool attributes);

}  // namespace crfs

#endif  // CRFS_FUSEFS_DIRECTORY_H_
