// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_ATTRIBUTES_H_
#define CRFS_FUSEFS_ATTRIBUTES_H_

#include <sys/stat.h>

#include "fusefs/fuse.h"
#include "index/tree.h"

namespace crfs {

// As long as the kernel's clock can say, in seconds: about 31 years.
inline constexpr double kForever = 1e9;

// Seconds for which the kernel may believe that a name is this inode, and what stat(2) shows.
struct Belief {
  double name;
  double attributes;
};
// What an image says never changes.
inline constexpr Belief kBelieveForever = {kForever, kForever};

struct stat StatOf(const Attributes& attributes);
fuse_entry_param EntryOf(const Attributes& attributes, Belief belief);

}  // namespace crfs

#endif  // CRFS_FUSEFS_ATTRIBUTES_H_
