// SPDX-License-Identifier: Apache-2.0

#include "index/pagemap.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "index/codec.h"
#include "index/codec_families.h"

namespace crfs {
namespace {

// Likewise names of mappings: at least as many digits as in /proc/PID/maps.
constexpr size_t kDigits = 8;

bool ParseRange(absl::string_view line, uint64_t& start, uint64_t& end) {
  const size_t dash = line.find('-');
  return dash != absl::string_view::npos &&
         codec::ParseHexadecimal(line.substr(0, dash), kDigits, start) &&
         codec::ParseHexadecimal(line.substr(dash + 1), kDigits, end);
}

absl::Status WrongLine(size_t number, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", status.message()));
}

absl::Status WrongLine(size_t number, absl::string_view line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", line, " ", what));
}

}  // namespace

void AppendPagemapLine(std::string* text, uint64_t offset, uint64_t length) {
  absl::StrAppend(text, FormatRange(offset, offset + length), "\n");
}

absl::StatusOr<std::vector<crfs_extent>> ParsePagemap(absl::string_view text, uint64_t memory_size,
                                                      uint64_t page_size) {
  std::vector<crfs_extent> extents;
  if (text.empty()) return extents;
  const uint64_t last_page = memory_size == 0 ? 0 : (memory_size - 1) / page_size + 1;
  uint64_t before = 0;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    ++number;
    uint64_t start = 0, end = 0;
    if (!ParseRange(line, start, end)) {
      return WrongLine(number,
                       codec::Unexpected("a range of offsets such as 00000000-00001000", line));
    }
    if (start >= end) return WrongLine(number, line, "ends where it has not begun");
    if (start % page_size != 0 || end % page_size != 0) {
      return WrongLine(number, line, "does not begin and end between pages");
    }
    if (end / page_size > last_page) return WrongLine(number, line, "ends beyond the memory");
    if (!extents.empty() && start <= before) {
      return WrongLine(number, line, "does not lie apart from, and after, the line before it");
    }
    extents.push_back({.offset = start, .length = end - start});
    before = end;
  }
  return extents;
}

}  // namespace crfs
