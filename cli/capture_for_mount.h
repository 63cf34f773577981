// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_CAPTURE_FOR_MOUNT_H_
#define CRFS_CLI_CAPTURE_FOR_MOUNT_H_

#include "absl/status/status.h"
#include "fusefs/mount_options.h"

namespace crfs {

// Where options.image is `pid:PID`, takes a checkpoint of that task into a folder of its own
// and makes the options mount that image; the folder goes away with the mount. States that
// cannot be restarted are saved too; checkpoint/unsupported lists them. Other images are
// left as they are.
absl::Status CaptureForMount(MountOptions& options);

}  // namespace crfs

#endif  // CRFS_CLI_CAPTURE_FOR_MOUNT_H_
