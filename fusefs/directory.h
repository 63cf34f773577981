// SPDX-License-Identifier: Apache-2.0
//
// Directories as the kernel reads them.

#ifndef CRFS_FUSEFS_DIRECTORY_H_
#define CRFS_FUSEFS_DIRECTORY_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fusefs/attributes.h"
#include "fusefs/reply.h"
#include "index/tree.h"

namespace crfs {

// One directory of a tree of any kind. Its functions are used during a call alone.
struct ListedDirectory {
  Inode inode;
  absl::FunctionRef<absl::StatusOr<Inode>()> parent;
  // As Tree::List.
  absl::FunctionRef<absl::Status(uint64_t from, absl::FunctionRef<bool(const Entry&)> visit)> list;
  absl::FunctionRef<Belief(Inode)> belief;
};

// What the kernel asks for: at most `size` bytes of entries, beginning at `offset`: 0, or what
// was given with an entry before. With `attributes` it gets to know each entry's inode too
// (readdirplus).
struct EntriesRequest {
  fuse_req_t request;
  size_t size;
  off_t offset;
  bool attributes;
};

void ReplyEntries(const ListedDirectory& directory, const EntriesRequest& wanted, Reply& reply);

}  // namespace crfs

#endif  // CRFS_FUSEFS_DIRECTORY_H_
