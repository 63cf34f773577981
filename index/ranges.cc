// SPDX-License-Identifier: Apache-2.0

#include "index/ranges.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

struct Pair {
  uint64_t begin;
  uint64_t end;
};

}  // namespace

std::string PackRanges(std::span<const crfs_extent> ranges) {
  std::string bytes;
  for (const crfs_extent& range : ranges) {
    const Pair pair = {range.offset, range.offset + range.length};
    bytes.append(reinterpret_cast<const char*>(&pair), sizeof(pair));
  }
  return bytes;
}

absl::StatusOr<std::vector<crfs_extent>> UnpackRanges(absl::string_view bytes) {
  if (bytes.size() % sizeof(Pair) != 0) {
    return absl::InvalidArgumentError("a list of ranges is not a multiple of 16 bytes long");
  }
  std::vector<crfs_extent> ranges;
  uint64_t before = 0;
  for (size_t i = 0; i < bytes.size(); i += sizeof(Pair)) {
    Pair pair;
    std::memcpy(&pair, bytes.data() + i, sizeof(pair));
    const absl::string_view wrong =
        pair.begin % kRangesPageSize != 0 || pair.end % kRangesPageSize != 0
            ? "does not begin and end between pages"
        : pair.begin >= pair.end        ? "ends where it has not begun"
        : i > 0 && pair.begin <= before ? "does not lie apart from, and after, the one before"
                                        : "";
    if (!wrong.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("range ", i / sizeof(Pair) + 1, " ", wrong));
    }
    ranges.push_back({.offset = pair.begin, .length = pair.end - pair.begin});
    before = pair.end;
  }
  return ranges;
}

std::vector<crfs_extent> MergeRanges(std::vector<crfs_extent> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const crfs_extent& one, const crfs_extent& other) {
    return one.offset < other.offset;
  });
  std::vector<crfs_extent> merged;
  for (const crfs_extent& range : ranges) {
    if (range.length == 0) continue;
    if (merged.empty() || merged.back().offset + merged.back().length < range.offset) {
      merged.push_back(range);
      continue;
    }
    crfs_extent& last = merged.back();
    last.length = std::max(last.offset + last.length, range.offset + range.length) - last.offset;
  }
  return merged;
}

std::vector<crfs_extent> SubtractRanges(std::span<const crfs_extent> ranges,
                                        std::span<const crfs_extent> holes) {
  std::vector<crfs_extent> left;
  auto hole = holes.begin();
  for (const crfs_extent& range : ranges) {
    uint64_t begin = range.offset;
    const uint64_t end = range.offset + range.length;
    while (hole != holes.end() && hole->offset + hole->length <= begin) ++hole;
    // A hole may go on into the next range, so `hole` stays.
    for (auto next = hole; next != holes.end() && next->offset < end; ++next) {
      if (begin < next->offset) left.push_back({begin, next->offset - begin});
      begin = std::min<uint64_t>(end, next->offset + next->length);
    }
    if (begin < end) left.push_back({begin, end - begin});
  }
  return left;
}

}  // namespace crfs
