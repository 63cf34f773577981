// SPDX-License-Identifier: Apache-2.0

#include "index/diff_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "index/tree_memory.h"

namespace crfs {
namespace {

constexpr uint64_t kStep = 1 << 20;

// Goes through the extents of one memory.
class Cursor {
 public:
  explicit Cursor(const LoadedMemory& memory) : memory_(memory), buffer_(kStep, '\0') {}

  // Where the run of pages around `offset`, which are all saved or all not, ends.
  uint64_t RunEnd(uint64_t offset) {
    SkipTo(offset);
    if (at_ == memory_.extents.size()) return UINT64_MAX;
    const LoadedExtent& extent = memory_.extents[at_];
    return extent.offset > offset ? extent.offset : extent.offset + extent.length;
  }
  bool IsSaved(uint64_t offset) {
    SkipTo(offset);
    return at_ < memory_.extents.size() && memory_.extents[at_].offset <= offset;
  }
  // Pages that are saved, up to kStep bytes of them. Beyond the end of the file, there are
  // zeros.
  absl::StatusOr<const char*> Read(uint64_t offset, uint64_t length) {
    SkipTo(offset);
    const LoadedExtent& extent = memory_.extents[at_];
    const uint64_t place = extent.file_offset + (offset - extent.offset);
    size_t got = 0;
    while (got < length) {
      const ssize_t part =
          ::pread(memory_.fd, buffer_.data() + got, length - got, static_cast<off_t>(place + got));
      if (part < 0 && errno == EINTR) continue;
      if (part < 0) return absl::ErrnoToStatus(errno, "cannot be read");
      if (part == 0) break;
      got += static_cast<size_t>(part);
    }
    std::memset(buffer_.data() + got, 0, length - got);
    return buffer_.data();
  }

 private:
  void SkipTo(uint64_t offset) {
    while (at_ < memory_.extents.size() &&
           memory_.extents[at_].offset + memory_.extents[at_].length <= offset) {
      ++at_;
    }
  }

  const LoadedMemory& memory_;
  size_t at_ = 0;
  std::string buffer_;
};

// Joins runs that follow one another.
class Runs {
 public:
  using Visit = std::function<void(uint64_t offset, uint64_t length, PageDifference)>;
  explicit Runs(const Visit& visit) : visit_(visit) {}
  ~Runs() { Flush(); }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;

  void Add(uint64_t offset, uint64_t length, PageDifference difference) {
    if (length_ > 0 && offset_ + length_ == offset && difference_ == difference) {
      length_ += length;
      return;
    }
    Flush();
    offset_ = offset;
    length_ = length;
    difference_ = difference;
  }

 private:
  void Flush() {
    if (length_ > 0) visit_(offset_, length_, difference_);
  }

  const Visit& visit_;
  uint64_t offset_ = 0;
  uint64_t length_ = 0;
  PageDifference difference_ = PageDifference::kDiffers;
};

absl::Status DiffBytes(Cursor& one, Cursor& other, uint64_t begin, uint64_t end, Runs& runs) {
  for (uint64_t offset = begin; offset < end; offset += kStep) {
    const uint64_t length = std::min(kStep, end - offset);
    const auto a = one.Read(offset, length);
    if (!a.ok()) return a.status();
    const auto b = other.Read(offset, length);
    if (!b.ok()) return b.status();
    if (std::memcmp(*a, *b, length) == 0) continue;
    for (uint64_t i = 0; i < length; i += kTreePageSize) {
      if (std::memcmp(*a + i, *b + i, kTreePageSize) != 0) {
        runs.Add(offset + i, kTreePageSize, PageDifference::kDiffers);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DiffMemory(
    const LoadedMemory& one, const LoadedMemory& other,
    const std::function<void(uint64_t offset, uint64_t length, PageDifference)>& visit) {
  Cursor a(one), b(other);
  Runs runs(visit);
  for (uint64_t offset = 0;;) {
    const uint64_t end = std::min(a.RunEnd(offset), b.RunEnd(offset));
    if (end == UINT64_MAX) return absl::OkStatus();
    const bool in_one = a.IsSaved(offset), in_other = b.IsSaved(offset);
    if (in_one && in_other) {
      if (absl::Status s = DiffBytes(a, b, offset, end, runs); !s.ok()) return s;
    } else if (in_one || in_other) {
      runs.Add(offset, end - offset,
               in_one ? PageDifference::kOnlyInOne : PageDifference::kOnlyInOther);
    }
    offset = end;
  }
}

}  // namespace crfs
