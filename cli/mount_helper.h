// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_MOUNT_HELPER_H_
#define CRFS_CLI_MOUNT_HELPER_H_

#include "absl/strings/string_view.h"

namespace crfs {

// Whether crfs was called as mount(8) calls a helper: by a name that begins with `mount.`
// (mount.crfs, mount.fuse.crfs).
bool IsMountHelper(absl::string_view program);

// The whole program then: `mount.crfs SOURCE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS]
// [-t TYPE]`. Returns the exit status of mount(8): 0, 1 for wrong usage, 32 for failure.
int RunMountHelper(int argc, char** argv);

}  // namespace crfs

#endif  // CRFS_CLI_MOUNT_HELPER_H_
