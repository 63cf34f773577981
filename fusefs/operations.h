// SPDX-License-Identifier: Apache-2.0
//
// What the kernel may ask of a mounted tree. Each operation is one call of Tree and one
// answer; there is no state between requests, since inode numbers are computed and open
// files need none.

#ifndef CRFS_FUSEFS_OPERATIONS_H_
#define CRFS_FUSEFS_OPERATIONS_H_

#include <functional>

#include "fusefs/attributes.h"
#include "fusefs/fuse.h"
#include "index/tree.h"

namespace crfs {

// What a session's operations work on: its userdata, which must outlive it.
struct Mounted {
  const Tree& tree;
  // Called once, by a thread of the session, when the kernel has agreed to the mount.
  std::function<void()> ready;

  static constexpr double kMissing = kForever;
  struct Moment {};
  static Moment Now() { return {}; }
  static Belief Believe(Inode, Moment) { return kBelieveForever; }
};

// For fuse_session_new. Any thread may run any of them.
const fuse_lowlevel_ops& Operations();

}  // namespace crfs

#endif  // CRFS_FUSEFS_OPERATIONS_H_
