// SPDX-License-Identifier: Apache-2.0
//
// Opens files of a directory that nobody vouches for: what is opened lies below it, without
// a symbolic link on the way, and is what it should be.

#ifndef CRFS_INDEX_OPEN_BELOW_H_
#define CRFS_INDEX_OPEN_BELOW_H_

#include <string>

#include "absl/status/statusor.h"
#include "index/unique_fd.h"

namespace crfs {

// A regular file, for reading. Never waits (for a writer of a fifo, say). `path` is relative
// to `directory`. Errors, without the path: NOT_FOUND; FAILED_PRECONDITION that it is no
// regular file, or that a symbolic link is in the way; others as open(2) gives them.
absl::StatusOr<UniqueFd> OpenFileBelow(int directory, const std::string& path);

// A directory, likewise.
absl::StatusOr<UniqueFd> OpenDirectoryBelow(int directory, const std::string& path);

}  // namespace crfs

#endif  // CRFS_INDEX_OPEN_BELOW_H_
