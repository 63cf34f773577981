// SPDX-License-Identifier: Apache-2.0
//
// What the kernel may ask of a mounted tree that can be changed. All changes come from the
// kernel, so it may remember names and attributes, but for three things:
// - names that are not there: a value or a link that is made may bring others with it;
// - files that are computed from others;
// - values that are open for writing: they may be other ones when they have been parsed.
// Values are read and written without the kernel's page cache, so that each open file sees
// what has been written through it, and after it is closed what that has become. Memory, and
// files that no row stands for, go through the page cache, without delayed writes: close(2)
// and fsync(2) tell of every error.

#ifndef CRFS_FUSEFS_WRITABLE_OPERATIONS_H_
#define CRFS_FUSEFS_WRITABLE_OPERATIONS_H_

#include <functional>

#include "fusefs/attributes.h"
#include "fusefs/fuse.h"
#include "fusefs/open_files.h"
#include "index/editable_tree.h"

namespace crfs {

// What a session's operations work on: its userdata, which must outlive it.
struct WritableMounted {
  EditableTree& tree;
  // Called once, by a thread of the session, when the kernel has agreed to the mount.
  std::function<void()> ready;
  fuse_session* session = nullptr;  // that asks
  OpenFiles files = {};

  static constexpr double kMissing = 0;
  // What the kernel may believe of what the tree has said since `moment`.
  using Moment = uint64_t;
  Moment Now() const { return files.Moment(); }
  Belief Believe(Inode inode, Moment moment) const;
};

// For fuse_session_new. Any thread may run any of them.
const fuse_lowlevel_ops& WritableOperations();

}  // namespace crfs

#endif  // CRFS_FUSEFS_WRITABLE_OPERATIONS_H_
