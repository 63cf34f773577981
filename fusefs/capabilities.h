// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_CAPABILITIES_H_
#define CRFS_FUSEFS_CAPABILITIES_H_

#include "fusefs/fuse.h"

namespace crfs {

// Read ahead of a sequential reader, in bytes: two requests of the largest size.
inline constexpr unsigned kReadAhead = 2 << 20;

// Takes what the kernel offers that suits a file system that never changes.
void Negotiate(fuse_conn_info* connection);

}  // namespace crfs

#endif  // CRFS_FUSEFS_CAPABILITIES_H_
