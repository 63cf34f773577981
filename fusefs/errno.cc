// SPDX-License-Identifier: Apache-2.0

#include "fusefs/errno.h"

#include <cerrno>
#include <optional>

#include "index/edit_error.h"

namespace crfs {

int ErrnoOf(const absl::Status& status) {
  if (const std::optional<int> error = EditErrno(status); error.has_value()) return *error;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kNotFound:
      return ENOENT;
    case absl::StatusCode::kAlreadyExists:
      return EEXIST;
    case absl::StatusCode::kPermissionDenied:
      return EPERM;
    case absl::StatusCode::kInvalidArgument:
      return EINVAL;
    case absl::StatusCode::kOutOfRange:
      return ENXIO;  // of lseek(2) with SEEK_DATA and SEEK_HOLE
    case absl::StatusCode::kFailedPrecondition:
      return EINVAL;
    case absl::StatusCode::kUnimplemented:
      return EOPNOTSUPP;
    case absl::StatusCode::kResourceExhausted:
      return ENOSPC;
    default:
      return EIO;
  }
}

int XattrErrnoOf(const absl::Status& status) {
  return absl::IsNotFound(status) ? ENODATA : ErrnoOf(status);
}

}  // namespace crfs
