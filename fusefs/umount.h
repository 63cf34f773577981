// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_UMOUNT_H_
#define CRFS_FUSEFS_UMOUNT_H_

#include <string>

#include "absl/status/status.h"

namespace crfs {

// Unmounts what is mounted at `directory`, if it is one of ours, dead or alive; its daemon
// then ends. When a tree that can be changed has been unmounted, all edits are on the disk, and
// the daemon has ended. `lazy`: even if it is in use; it then goes when its last user does, and
// nothing is waited for.
absl::Status Unmount(const std::string& directory, bool lazy);

}  // namespace crfs

#endif  // CRFS_FUSEFS_UMOUNT_H_
