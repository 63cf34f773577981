// SPDX-License-Identifier: Apache-2.0
//
// The one text form of each value (docs/image-format.md, "Values"). Format and Parse are inverse:
// Parse(row, Format(row, v)) == v for each value that the row can hold, and Format of what
// Parse accepted is the canonical text. Stateless; any thread.

#ifndef CRFS_INDEX_CODEC_H_
#define CRFS_INDEX_CODEC_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/record.h"
#include "index/schema.h"

namespace crfs {

// The contents of the row's file, with its newline where the codec has one. `row` must be a
// stored row other than a reference.
std::string FormatValue(const Row& row, const Value& value);

// INVALID_ARGUMENT says what was expected; OUT_OF_RANGE that the number does not fit the
// row. A missing newline at the end is forgiven for one-line codecs; other noise is not.
absl::StatusOr<Value> ParseValue(const Row& row, absl::string_view text);

// Whether the row can hold the value: OK, or INVALID_ARGUMENT that says why not. Flag bits
// without a word are allowed (they print as `bitN`), numbers of an enumeration without a
// word are not. References are not looked up.
absl::Status CheckNumber(const Row& row, uint64_t number);
absl::Status CheckBytes(const Row& row, absl::string_view bytes);

// Names of directories: decimal without leading zeros; START-END as in /proc/PID/maps;
// signals as `SIGUSR1`, `SIGRTMIN+3`
// (numbers that no signal has: decimal).
std::string FormatSignal(uint64_t signal);
absl::StatusOr<uint64_t> ParseSignal(absl::string_view text);
std::string FormatRange(uint64_t start, uint64_t end);

// One line of text with newline and backslash as \012 and \134, and back; any byte may
// come as a backslash and three octal digits.
std::string EscapeText(absl::string_view bytes);
absl::StatusOr<std::string> UnescapeText(absl::string_view text);

}  // namespace crfs

#endif  // CRFS_INDEX_CODEC_H_
