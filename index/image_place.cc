// SPDX-License-Identifier: Apache-2.0

#include "index/image_place.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/pagemap.h"
#include "index/tree_memory.h"

namespace crfs {
namespace {

constexpr size_t kXattrMax = 64 << 10;  // the kernel's XATTR_SIZE_MAX

// An absolute path of a file that has one, and that a line can hold.
std::string PathOfFile(int fd) {
  std::string path(PATH_MAX, '\0');
  const ssize_t length =
      ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path.data(), path.size());
  if (length <= 0 || path[0] != '/') return "";
  path.resize(static_cast<size_t>(length));
  return absl::StrContains(path, '\n') ? "" : path;
}

// Walks along extents; `offset` only grows.
template <typename Extent>
class Cursor {
 public:
  explicit Cursor(const std::vector<Extent>& extents) : at_(extents.begin()), end_(extents.end()) {}
  // The extent that holds `offset`, or the next one; nullptr if there is none.
  const Extent* Find(uint64_t offset) {
    while (at_ != end_ && at_->offset + at_->length <= offset) ++at_;
    return at_ == end_ ? nullptr : &*at_;
  }

 private:
  typename std::vector<Extent>::const_iterator at_, end_;
};

}  // namespace

std::string StateOfFile(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return "";
  return absl::StrCat(status.st_dev, ":", status.st_ino, ":", status.st_size, ":",
                      status.st_mtim.tv_sec, ".", status.st_mtim.tv_nsec);
}

std::optional<std::string> ImageXattr(int image_fd, uint64_t id,
                                      const std::vector<crfs_extent>& changed) {
  const std::string state = StateOfFile(image_fd);
  const std::string path = PathOfFile(image_fd);
  if (state.empty() || path.empty()) return std::nullopt;
  std::string text = absl::StrCat(state, " ", id, " ", path, "\n");
  for (const crfs_extent& extent : changed) {
    AppendPagemapLine(&text, extent.offset, extent.length);
    if (text.size() > kXattrMax) return std::nullopt;
  }
  return text;
}

std::optional<ImagePlace> ParseImageXattr(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> lines =
      absl::StrSplit(text, absl::MaxSplits('\n', 1));
  const std::vector<absl::string_view> words = absl::StrSplit(lines.first, absl::MaxSplits(' ', 2));
  ImagePlace place;
  if (words.size() != 3 || !absl::SimpleAtoi(words[1], &place.id)) return std::nullopt;
  place.state = std::string(words[0]);
  place.path = std::string(words[2]);
  auto changed = ParsePagemap(lines.second, INT64_MAX, kTreePageSize);
  if (!changed.ok()) return std::nullopt;
  place.changed = *std::move(changed);
  return place;
}

std::vector<LoadedExtent> PartByPlace(const std::vector<LoadedExtent>& extents,
                                      const std::vector<LoadedExtent>& in_image,
                                      const std::vector<crfs_extent>& changed) {
  using Place = LoadedExtent::Place;
  std::vector<LoadedExtent> parts;
  Cursor edits(changed);
  Cursor image(in_image);
  for (const LoadedExtent& extent : extents) {
    const uint64_t end = extent.offset + extent.length;
    for (uint64_t at = extent.offset; at < end;) {
      LoadedExtent part{at, end - at, extent.file_offset + (at - extent.offset)};
      const auto stop_at = [&](uint64_t offset) {
        part.length = std::min(part.length, offset - at);
      };
      const crfs_extent* const edit = edits.Find(at);
      const LoadedExtent* const saved = image.Find(at);
      if (edit != nullptr && edit->offset <= at) {
        stop_at(edit->offset + edit->length);
      } else {
        if (edit != nullptr) stop_at(edit->offset);
        if (saved != nullptr && saved->offset > at) stop_at(saved->offset);
        if (saved != nullptr && saved->offset <= at) {
          stop_at(saved->offset + saved->length);
          part.place = Place::kImage;
          part.file_offset = saved->file_offset + (at - saved->offset);
        }
      }
      at += part.length;
      parts.push_back(part);
    }
  }
  return parts;
}

}  // namespace crfs
