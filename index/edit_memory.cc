// SPDX-License-Identifier: Apache-2.0

#include "index/edit_memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "index/edit_error.h"
#include "index/tree_contents.h"
#include "index/tree_memory.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = kTreePageSize;

uint64_t PageDown(uint64_t offset) { return offset / kPage * kPage; }
uint64_t PageUp(uint64_t offset) { return (offset + kPage - 1) / kPage * kPage; }

absl::Status CannotKeep(int error) {
  return EditError(error, "the changed pages cannot be kept: make room where the edits are");
}

absl::Status PwriteAll(int fd, absl::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return CannotKeep(put < 0 ? errno : EIO);
    bytes.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<EditMemory>> EditMemory::Open(EditStore* store, Inode inode,
                                                             Beneath beneath) {
  std::shared_ptr<EditMemory> memory(new EditMemory(store, inode, beneath));
  auto runs = store->Runs(inode);
  if (!runs.ok()) return runs.status();
  const auto size = store->Size(inode);
  if (!size.ok()) return size.status();
  const MutexLock lock(&memory->mutex_);
  memory->runs_ = *std::move(runs);
  memory->size_ = size->value_or(beneath.size);
  return memory;
}

absl::StatusOr<std::shared_ptr<const UniqueFd>> EditMemory::File() const {
  const MutexLock lock(&file_mutex_);
  if (file_ == nullptr) {
    auto file = store_->OpenData(inode_);
    if (!file.ok()) return file.status();
    file_ = *std::move(file);
  }
  return file_;
}

std::vector<crfs_extent> EditMemory::Changed() const {
  const ReaderMutexLock lock(&mutex_);
  std::vector<crfs_extent> changed;
  for (const auto& [begin, run] : runs_) AddPages(changed, begin, run.end - begin);
  return changed;
}

uint64_t EditMemory::size() const {
  const ReaderMutexLock lock(&mutex_);
  return size_;
}

// --- reading ---

absl::StatusOr<EditMemory::Segment> EditMemory::At(uint64_t offset) const {
  uint64_t end = size_;
  auto next = runs_.upper_bound(offset);
  if (next != runs_.begin()) {
    const auto& [begin, run] = *std::prev(next);
    if (offset < run.end) {
      return Segment{std::min(run.end, size_), run.state, run.state == PageState::kData};
    }
  }
  if (next != runs_.end()) end = std::min(end, next->first);
  if (is_whole() || offset >= beneath_.size) {
    return Segment{end, PageState::kImage, false};
  }
  end = std::min(end, beneath_.size);
  const auto data = beneath_.tree->SeekData(beneath_.inode, offset);
  if (absl::IsOutOfRange(data.status())) return Segment{end, PageState::kImage, false};
  if (!data.ok()) return data.status();
  if (*data > offset) return Segment{std::min(end, *data), PageState::kImage, false};
  const auto hole = beneath_.tree->SeekHole(beneath_.inode, offset);
  if (!hole.ok()) return hole.status();
  return Segment{std::min(end, *hole), PageState::kImage, true};
}

absl::StatusOr<Contents> EditMemory::Read(uint64_t offset, uint64_t length) const {
  const ReaderMutexLock lock(&mutex_);
  return ReadLocked(offset, length);
}

absl::StatusOr<Contents> EditMemory::ReadLocked(uint64_t offset, uint64_t length) const {
  Contents contents;
  if (offset >= size_) return contents;
  const uint64_t end = offset + std::min(length, size_ - offset);
  while (offset < end) {
    const auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    const uint64_t part = std::min(end, segment->end) - offset;
    if (!segment->has_data) {
      contents.push_back({.kind = Piece::Kind::kZeros, .length = part, .bytes = {}});
    } else if (segment->state == PageState::kData) {
      auto file = File();
      if (!file.ok()) return file.status();
      contents.push_back({.kind = Piece::Kind::kFile,
                          .length = part,
                          .bytes = {},
                          .file = *std::move(file),
                          .file_offset = offset});
    } else {
      auto pieces = beneath_.tree->Read(beneath_.inode, offset, part);
      if (!pieces.ok()) return pieces.status();
      for (Piece& piece : *pieces) contents.push_back(std::move(piece));
    }
    offset += part;
  }
  return contents;
}

absl::StatusOr<std::string> EditMemory::ReadPage(uint64_t offset) const {
  std::string page;
  const auto contents = ReadLocked(offset, kPage);
  if (!contents.ok()) return contents.status();
  const absl::Status status =
      AppendContents(*contents, is_whole() ? -1 : beneath_.tree->image_fd(), &page);
  if (!status.ok()) return status;
  page.resize(kPage);
  return page;
}

absl::StatusOr<std::string> EditMemory::ReadAll() const {
  const ReaderMutexLock lock(&mutex_);
  const auto contents = ReadLocked(0, size_);
  if (!contents.ok()) return contents.status();
  std::string bytes;
  const absl::Status status =
      AppendContents(*contents, is_whole() ? -1 : beneath_.tree->image_fd(), &bytes);
  if (!status.ok()) return status;
  return bytes;
}

absl::StatusOr<uint64_t> EditMemory::SeekData(uint64_t offset) const {
  const ReaderMutexLock lock(&mutex_);
  while (offset < size_) {
    const auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    if (segment->has_data) return offset;
    offset = segment->end;
  }
  return absl::OutOfRangeError("no data at the offset or beyond");
}

absl::StatusOr<uint64_t> EditMemory::SeekHole(uint64_t offset) const {
  const ReaderMutexLock lock(&mutex_);
  if (offset >= size_) return absl::OutOfRangeError("at the end of the file or beyond");
  while (offset < size_) {
    const auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    if (!segment->has_data) return offset;
    offset = segment->end;
  }
  return size_;
}

absl::StatusOr<uint64_t> EditMemory::blocks() const {
  const ReaderMutexLock lock(&mutex_);
  uint64_t bytes = 0;
  for (uint64_t offset = 0; offset < size_;) {
    const auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    if (segment->has_data) bytes += segment->end - offset;
    offset = segment->end;
  }
  return bytes / 512 + (bytes % 512 != 0);
}

absl::StatusOr<std::vector<crfs_extent>> EditMemory::Saved(
    const std::optional<std::vector<crfs_extent>>& declared, bool keep_zeros) const {
  const ReaderMutexLock lock(&mutex_);
  std::vector<crfs_extent> saved;
  std::vector<crfs_extent> open;  // what only a declaration can tell
  for (uint64_t offset = 0; offset < size_;) {
    const auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    const uint64_t end = PageUp(segment->end);
    const bool untold = segment->state == PageState::kZero ||
                        (segment->state == PageState::kImage && !segment->has_data);
    if (segment->has_data || (segment->state == PageState::kZero && !declared && keep_zeros)) {
      AddPages(saved, offset, end - offset);
    } else if (untold && declared) {
      AddPages(open, offset, end - offset);
    }
    offset = segment->end;
  }
  if (!declared) return saved;
  std::vector<crfs_extent> told;
  auto next = declared->begin();
  for (const crfs_extent& extent : open) {
    const uint64_t end = extent.offset + extent.length;
    while (next != declared->end() && next->offset + next->length <= extent.offset) ++next;
    for (auto each = next; each != declared->end() && each->offset < end; ++each) {
      const uint64_t begin = std::max(each->offset, extent.offset);
      AddPages(told, begin, std::min<uint64_t>(each->offset + each->length, end) - begin);
    }
  }
  return Unite(saved, told);
}

// --- writing ---

// Runs that touch and are of one state become one.
void EditMemory::SetRun(uint64_t begin, uint64_t end, PageState state, EditBatch& batch) {
  auto run = runs_.upper_bound(begin);
  if (run != runs_.begin() && std::prev(run)->second.end >= begin) --run;
  while (run != runs_.end() && run->first <= end) {
    const uint64_t first = run->first;
    const PageRun old = run->second;
    if (old.state == state) {
      if (first <= begin && old.end >= end) return;
      begin = std::min(begin, first);
      end = std::max(end, old.end);
    } else if (first < begin && old.end > begin) {
      const PageRun left = {begin, old.state};
      run->second = left;
      batch.PutRun(inode_, first, left);
      if (old.end > end) {
        runs_[end] = old;
        batch.PutRun(inode_, end, old);
      }
      run = runs_.upper_bound(first);
      continue;
    } else if (first >= end || old.end <= begin) {
      ++run;
      continue;
    } else if (old.end > end) {
      runs_[end] = old;
      batch.PutRun(inode_, end, old);
    }
    if (first != begin) batch.DropRun(inode_, first);
    run = runs_.erase(run);
  }
  runs_[begin] = {end, state};
  batch.PutRun(inode_, begin, {end, state});
}

absl::Status EditMemory::Write(uint64_t offset, absl::string_view bytes) {
  if (bytes.empty()) return absl::OkStatus();
  if (offset > INT64_MAX - kPage || bytes.size() > INT64_MAX - kPage - offset) {
    return EditError(EFBIG, "beyond what a file can be");
  }
  const MutexLock lock(&mutex_);
  const uint64_t end = offset + bytes.size();
  const uint64_t size = std::max(size_, end);
  if (offset % kPage == 0 && end % kPage == 0) return WritePages(offset, bytes, size);
  // The rest of its first and last page is as it was.
  const uint64_t first = PageDown(offset), last = PageUp(end);
  std::string pages;
  pages.resize(last - first);
  for (const uint64_t edge : {first, last - kPage}) {
    const auto page = ReadPage(edge);
    if (!page.ok()) return page.status();
    pages.replace(edge - first, kPage, *page);
  }
  pages.replace(offset - first, bytes.size(), bytes.data(), bytes.size());
  return WritePages(first, pages, size);
}

absl::Status EditMemory::WritePages(uint64_t offset, absl::string_view pages, uint64_t size) {
  const auto state_of = [&](uint64_t at) {
    return is_whole() && IsZero(pages.substr(at, kPage)) ? PageState::kZero : PageState::kData;
  };
  EditBatch batch;
  for (uint64_t at = 0; at < pages.size();) {
    const PageState state = state_of(at);
    uint64_t end = at + kPage;
    while (end < pages.size() && state_of(end) == state) end += kPage;
    if (state == PageState::kData) {
      const auto file = File();
      if (!file.ok()) return file.status();
      const absl::Status put = PwriteAll((*file)->get(), pages.substr(at, end - at), offset + at);
      if (!put.ok()) return put;
    }
    SetRun(offset + at, offset + end, state, batch);
    at = end;
  }
  if (size != size_) batch.PutSize(inode_, size);
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  size_ = size;
  return absl::OkStatus();
}

absl::Status EditMemory::Truncate(uint64_t size) {
  if (size > INT64_MAX - kPage) return EditError(EFBIG, "beyond what a file can be");
  const MutexLock lock(&mutex_);
  if (size == size_) return absl::OkStatus();
  if (size < size_ && size % kPage != 0) {
    // What is cut off is not to come back when it grows again.
    auto page = ReadPage(PageDown(size));
    if (!page.ok()) return page.status();
    std::fill(page->begin() + static_cast<ptrdiff_t>(size % kPage), page->end(), '\0');
    const auto segment = At(PageDown(size));
    if (!segment.ok()) return segment.status();
    if (segment->has_data) {
      absl::Status status = WritePages(PageDown(size), *page, size_);
      if (!status.ok()) return status;
    }
  }
  EditBatch batch;
  if (size < size_ && PageUp(size) < PageUp(size_)) {
    SetRun(PageUp(size), PageUp(size_), is_whole() ? PageState::kImage : PageState::kHole, batch);
  }
  batch.PutSize(inode_, size);
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  const bool shorter = size < size_;
  size_ = size;
  const auto file = shorter ? File() : nullptr;
  // Room is given back where there is any; nobody reads what is there.
  if (file.ok() && *file != nullptr) {
    [[maybe_unused]] const int cut = ::ftruncate((*file)->get(), static_cast<off_t>(PageUp(size)));
  }
  return absl::OkStatus();
}

absl::Status EditMemory::Replace(EditBatch& batch) {
  const MutexLock lock(&mutex_);
  for (const auto& [offset, run] : runs_) batch.DropRun(inode_, offset);
  batch.PutSize(inode_, 0);
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  runs_.clear();
  size_ = 0;
  beneath_ = {};
  const auto file = File();
  if (file.ok()) [[maybe_unused]]
    const int cut = ::ftruncate((*file)->get(), 0);
  return absl::OkStatus();
}

absl::Status EditMemory::Punch(uint64_t offset, uint64_t length) {
  const MutexLock lock(&mutex_);
  if (offset >= size_) return absl::OkStatus();
  const uint64_t end = offset + std::min(length, size_ - offset);
  // A last page that is cut by the end of the file counts as whole.
  const uint64_t first = PageUp(offset), last = end == size_ ? PageUp(end) : PageDown(end);
  std::vector<std::pair<uint64_t, uint64_t>> edges;  // what is zeroed only
  if (first >= last) {
    edges.emplace_back(offset, end);
  } else {
    if (offset < first) edges.emplace_back(offset, first);
    if (last < end) edges.emplace_back(last, end);
  }
  for (const auto& [from, to] : edges) {
    for (uint64_t at = PageDown(from); at < to; at += kPage) {
      auto page = ReadPage(at);
      if (!page.ok()) return page.status();
      if (IsZero(*page)) continue;
      for (uint64_t i = std::max(from, at); i < std::min(to, at + kPage); ++i)
        (*page)[i - at] = '\0';
      if (absl::Status status = WritePages(at, *page, size_); !status.ok()) return status;
    }
  }
  if (first >= last) return absl::OkStatus();
  EditBatch batch;
  SetRun(first, last, PageState::kHole, batch);
  if (absl::Status status = store_->Write(batch); !status.ok()) return status;
  // Room is given back where there is any; nobody reads what is there.
  const auto file = File();
  if (file.ok()) {
    ::fallocate((*file)->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(first), static_cast<off_t>(last - first));
  }
  return absl::OkStatus();
}

absl::Status EditMemory::Sync() const {
  const auto file = File();
  if (!file.ok()) return file.status();
  if (::fdatasync((*file)->get()) != 0) return CannotKeep(errno);
  return absl::OkStatus();
}

}  // namespace crfs
