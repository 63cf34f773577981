// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_KERNEL_RECORDS_H_
#define CRFS_ENGINE_KERNEL_RECORDS_H_

#include "absl/status/status.h"
#include "engine/snapshot.h"

namespace crfs {

// Reads the records that the module emits (crfs/ioctl.h) up to their end. They are checked
// as those of an image are; an error means that module and crfs do not fit.
absl::Status ReadKernelRecords(int fd, Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_KERNEL_RECORDS_H_
