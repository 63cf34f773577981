// SPDX-License-Identifier: Apache-2.0
//
// The daemon of a writable mount, as who unmounts it sees it.

#ifndef CRFS_FUSEFS_EDITS_DAEMON_H_
#define CRFS_FUSEFS_EDITS_DAEMON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/unique_fd.h"

namespace crfs {

// An extended attribute of the root of a writable mount that no list shows: the pid of its
// daemon.
inline constexpr absl::string_view kDaemonXattr = "user.crfs.daemon";

class EditsDaemon {
 public:
  // Of the mount at `directory`, alive or dead. Its edits are on the disk then; an error says
  // why they cannot be.
  static absl::StatusOr<EditsDaemon> Sync(const std::string& directory);

  // When it has been unmounted: waits until the daemon has let go of its folder, up to ten
  // seconds (another mount namespace may have the mount still).
  void WaitForEnd() const;

 private:
  explicit EditsDaemon(UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}

  UniqueFd pidfd_;  // or none, if there is nothing to wait for
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_EDITS_DAEMON_H_
