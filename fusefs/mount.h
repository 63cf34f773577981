// SPDX-License-Identifier: Apache-2.0
//
// Mounting an image, or a new tree.

#ifndef CRFS_FUSEFS_MOUNT_H_
#define CRFS_FUSEFS_MOUNT_H_

#include "absl/status/status.h"
#include "fusefs/mount_options.h"

namespace crfs {

// Mounts options.image, or a new tree, on options.directory. In the background, returns when the
// mount answers, and leaves a daemon behind; in the foreground, when it has been unmounted
// or the process got SIGTERM, SIGINT or SIGHUP. Errors read `PATH: what is wrong: what to
// do`; nothing is left mounted then. What has been
// changed is on the disk when it has been unmounted and the daemon has ended. Call it before there
// are other threads.
absl::Status Mount(MountOptions options);

}  // namespace crfs

#endif  // CRFS_FUSEFS_MOUNT_H_
