// SPDX-License-Identifier: Apache-2.0

#include "index/tree_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace crfs {
namespace {

// Read at once, to look for zeros.
constexpr uint64_t kStep = 1 << 20;

class PageFinder {
 public:
  PageFinder(int fd, uint64_t size, bool keep_zeros)
      : fd_(fd), size_(size), keep_zeros_(keep_zeros) {}

  // Looks from `begin` to `end`, both between pages; the latter may be beyond the file.
  absl::Status Look(uint64_t begin, uint64_t end) {
    uint64_t offset = begin;
    while (offset < std::min(end, size_)) {
      const off_t data = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      if (data < 0) return absl::ErrnoToStatus(errno, "cannot be searched for data");
      const uint64_t first = static_cast<uint64_t>(data) / kTreePageSize * kTreePageSize;
      if (first >= end) break;
      const off_t hole = ::lseek(fd_, data, SEEK_HOLE);
      if (hole < 0) return absl::ErrnoToStatus(errno, "cannot be searched for holes");
      const uint64_t pages = (static_cast<uint64_t>(hole) - 1) / kTreePageSize + 1;
      const uint64_t last = std::min(end, pages * kTreePageSize);
      const absl::Status status = Take(std::max(first, offset), last);
      if (!status.ok()) return status;
      offset = last;
    }
    return absl::OkStatus();
  }

  std::vector<crfs_extent> found;

 private:
  absl::Status Take(uint64_t begin, uint64_t end) {
    if (keep_zeros_) {
      AddPages(found, begin, end - begin);
      return absl::OkStatus();
    }
    for (uint64_t offset = begin; offset < end; offset += kStep) {
      const absl::Status status = TakeStep(offset, std::min(end - offset, kStep));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status TakeStep(uint64_t offset, uint64_t length) {
    buffer_.resize(kStep);
    size_t got = 0;
    while (got < length) {
      const ssize_t part =
          ::pread(fd_, buffer_.data() + got, length - got, static_cast<off_t>(offset + got));
      if (part < 0 && errno == EINTR) continue;
      if (part < 0) return absl::ErrnoToStatus(errno, "cannot be read");
      if (part == 0) break;
      got += static_cast<size_t>(part);
    }
    const absl::string_view bytes = absl::string_view(buffer_).substr(0, got);
    for (size_t i = 0; i < bytes.size(); i += kTreePageSize) {
      if (!IsZero(bytes.substr(i, kTreePageSize))) AddPages(found, offset + i, kTreePageSize);
    }
    return absl::OkStatus();
  }

  const int fd_;
  const uint64_t size_;
  const bool keep_zeros_;
  std::string buffer_;
};

}  // namespace

void AddPages(std::vector<crfs_extent>& extents, uint64_t offset, uint64_t length) {
  if (!extents.empty() && extents.back().offset + extents.back().length == offset) {
    extents.back().length += length;
  } else {
    extents.push_back({.offset = offset, .length = length});
  }
}

bool IsZero(absl::string_view bytes) {
  // Each byte is the one before it, and the first is zero: memcmp does it by vectors.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

absl::StatusOr<std::vector<crfs_extent>> FindPages(int fd, uint64_t size,
                                                   const std::vector<crfs_extent>& listed,
                                                   bool keep_zeros) {
  PageFinder finder(fd, size, keep_zeros);
  uint64_t begin = 0;
  for (const crfs_extent& extent : listed) {
    if (absl::Status s = finder.Look(begin, extent.offset); !s.ok()) return s;
    begin = extent.offset + extent.length;
  }
  const uint64_t pages = size / kTreePageSize + (size % kTreePageSize != 0 ? 1 : 0);
  if (absl::Status s = finder.Look(begin, pages * kTreePageSize); !s.ok()) return s;
  return std::move(finder.found);
}

std::vector<crfs_extent> Unite(const std::vector<crfs_extent>& one,
                               const std::vector<crfs_extent>& other) {
  if (other.empty()) return one;
  std::vector<crfs_extent> sorted;
  sorted.resize(one.size() + other.size());
  std::ranges::merge(one, other, sorted.begin(), {}, &crfs_extent::offset, &crfs_extent::offset);
  std::vector<crfs_extent> united;
  for (const crfs_extent& extent : sorted) AddPages(united, extent.offset, extent.length);
  return united;
}

}  // namespace crfs
