// SPDX-License-Identifier: Apache-2.0
//
// Which open file descriptions mappings and programs refer to.
//
// A mapping keeps the description it was made from, but nobody can tell which that is: its position
// and most of its flags mean nothing to memory, /proc does not show it, and an overlay file system
// puts another one behind it. So images of every engine say the same by a rule. A shared mapping,
// or one of a memfd, refers to the first descriptor of its task that has the same file open in the
// same access mode, so that whoever edits the path of the one edits that of the other. Without such
// a descriptor, and for private mappings and programs, there is a description at position 0 and
// without other flags, which all who map the file so have in common.

#ifndef CRFS_ENGINE_MAPPED_FILES_H_
#define CRFS_ENGINE_MAPPED_FILES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "engine/snapshot.h"

namespace crfs {

inline constexpr uint32_t kLargeFile = 0100000;  // O_LARGEFILE, which <fcntl.h> has as 0

// Makes all mappings and programs of a snapshot follow the rule, leaves descriptions out that
// nothing refers to then, and numbers the objects `file` in the order of first encounter: task by
// task its program, its mappings, its descriptors, its working directory and root.
absl::Status UnifyMappedFiles(Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_MAPPED_FILES_H_
