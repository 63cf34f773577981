// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_TESTS_PROPERTY_DUMP_H_
#define CRFS_TESTS_PROPERTY_DUMP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

// All of an image as lines of text: each object with the rows that its record has, each
// extent, and the checksums of the data. Long values are told by length and checksum.
absl::StatusOr<std::string> DumpImage(absl::string_view image);

// The schema as it stands on the wire, one line a stored row of format version `since`:
// `object.field offset size wire codec`, and one a word: `object.field: value word`.
std::string DumpWire(int since);

}  // namespace crfs

#endif  // CRFS_TESTS_PROPERTY_DUMP_H_
