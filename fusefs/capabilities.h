// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_CAPABILITIES_H_
#define CRFS_FUSEFS_CAPABILITIES_H_

#include "fusefs/fuse.h"

namespace crfs {

// The largest read, in bytes, also to be given as the mount option max_read. Twice this and a
// header would still fit the largest pipe that the kernel gives to anyone (1 MiB), so that
// pages are spliced; and it is how much of an image one checksum covers.
inline constexpr unsigned kMaxRead = 256 << 10;

// Read ahead of a sequential reader, in bytes.
inline constexpr unsigned kReadAhead = 4 * kMaxRead;

enum class Changes {
  kNever,            // an image
  kByTheMountAlone,  // edits: nothing changes but by what the kernel asks for
};

// Takes what the kernel offers that suits such a file system.
void Negotiate(fuse_conn_info* connection, Changes changes);

}  // namespace crfs

#endif  // CRFS_FUSEFS_CAPABILITIES_H_
