// SPDX-License-Identifier: Apache-2.0

#include "index/edit_error.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

constexpr absl::string_view kErrno = "crfs/errno";

}  // namespace

absl::Status EditError(int error, absl::string_view message) {
  return WithErrno(absl::Status(absl::ErrnoToStatusCode(error), message), error);
}

absl::Status WithErrno(absl::Status status, int error) {
  status.SetPayload(kErrno, absl::Cord(absl::StrCat(error)));
  return status;
}

std::optional<int> EditErrno(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kErrno);
  int error;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &error)) return std::nullopt;
  return error;
}

}  // namespace crfs
