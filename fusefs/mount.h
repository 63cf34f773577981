// SPDX-License-Identifier: Apache-2.0
//
// Mounting an image.

#ifndef CRFS_FUSEFS_MOUNT_H_
#define CRFS_FUSEFS_MOUNT_H_

#include "absl/status/status.h"
#include "fusefs/mount_options.h"

namespace crfs {

// Mounts options.image on options.directory, read-only. In the background, returns when the
// mount answers, and leaves a daemon behind; in the foreground, when it has been unmounted
// or the process got SIGTERM, SIGINT or SIGHUP. Errors read `PATH: what is wrong: what to
// do`; nothing is left mounted then. Call it before there are other threads.
absl::Status Mount(MountOptions options);

}  // namespace crfs

#endif  // CRFS_FUSEFS_MOUNT_H_
