// SPDX-License-Identifier: Apache-2.0
//
// Errors that say their errno: a status with the words of a message, and beside it the errno
// that a file system answers with. Stateless; any thread.

#ifndef CRFS_INDEX_EDIT_ERROR_H_
#define CRFS_INDEX_EDIT_ERROR_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace crfs {

// The status code is the one that absl::ErrnoToStatus gives.
absl::Status EditError(int error, absl::string_view message);

// The same status, with this errno.
absl::Status WithErrno(absl::Status status, int error);

// The errno of an EditError, or of WithErrno.
std::optional<int> EditErrno(const absl::Status& status);

}  // namespace crfs

#endif  // CRFS_INDEX_EDIT_ERROR_H_
