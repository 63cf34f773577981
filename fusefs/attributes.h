// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_ATTRIBUTES_H_
#define CRFS_FUSEFS_ATTRIBUTES_H_

#include <sys/stat.h>

#include "fusefs/fuse.h"
#include "index/tree.h"

namespace crfs {

// Seconds for which the kernel may believe a name or an attribute. An image never changes,
// so this only has to fit the kernel's clock: about 31 years.
inline constexpr double kForever = 1e9;

struct stat StatOf(const Attributes& attributes);
fuse_entry_param EntryOf(const Attributes& attributes);

}  // namespace crfs

#endif  // CRFS_FUSEFS_ATTRIBUTES_H_
