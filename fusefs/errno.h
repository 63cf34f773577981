// SPDX-License-Identifier: Apache-2.0
//
// The one place that turns a Status into an errno.

#ifndef CRFS_FUSEFS_ERRNO_H_
#define CRFS_FUSEFS_ERRNO_H_

#include "absl/status/status.h"

namespace crfs {

// Positive; 0 for OK. An error that says its errno (index/edit_error.h) has that one. Damage is
// EIO, never ENOENT; what is not implemented is EOPNOTSUPP (ENOSYS would switch the operation off
// for good).
int ErrnoOf(const absl::Status& status);

// The same for extended attributes, where one that is not there is ENODATA.
int XattrErrnoOf(const absl::Status& status);

}  // namespace crfs

#endif  // CRFS_FUSEFS_ERRNO_H_
