// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_MOUNTPOINT_H_
#define CRFS_FUSEFS_MOUNTPOINT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crfs {

// Whether this process can mount on `directory`: its absolute path, or what is wrong with it
// and what to do.
absl::StatusOr<std::string> CheckMountpoint(const std::string& directory);

// Whether FUSE can be used at all: the device, and for users other than root fusermount3.
// `allow_other` as wanted of the mount.
absl::Status CheckFuse(bool allow_other);

// Whether a program of this name is found in $PATH.
bool IsInPath(const std::string& program);

}  // namespace crfs

#endif  // CRFS_FUSEFS_MOUNTPOINT_H_
