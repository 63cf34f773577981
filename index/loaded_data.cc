// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/data_checksum.h"
#include "index/image_reader.h"
#include "index/loaded_state.h"

namespace crfs {
namespace {

// Fills `buffer` from `offset`. What lies beyond the first `size` bytes of the file is zero.
absl::Status ReadFully(int fd, uint64_t offset, uint64_t size, std::span<char> buffer) {
  while (!buffer.empty()) {
    if (offset >= size) {
      std::memset(buffer.data(), 0, buffer.size());
      return absl::OkStatus();
    }
    const size_t length = std::min<uint64_t>(buffer.size(), size - offset);
    const ssize_t got = ::pread(fd, buffer.data(), length, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot read");
    if (got == 0) return absl::DataLossError("it has become shorter: begin again");
    offset += static_cast<uint64_t>(got);
    buffer = buffer.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace

LoadedData::LoadedData(const LoadedCheckpoint::State* state) : state_(state) {
  same_.assign((size() + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE, true);
  if (state->is_image) {
    image_ = state;
    return;
  }
  uint64_t begin = 0;
  for (const auto& [owner, memory] : state->memory) {
    if (image_ == nullptr && memory.image != nullptr) image_ = &memory.image->state();
    CompareWithImage(memory, begin);
    for (const LoadedExtent& extent : memory.extents) {
      runs_.push_back({begin, extent.length, &memory, extent.file_offset});
      begin += extent.length;
    }
  }
  // The last chunk is as long as what is left.
  if (image_ != nullptr && image_->memory_size != size() && size() != 0) MarkOther(size() - 1, 1);
}

void LoadedData::MarkOther(uint64_t begin, uint64_t length) {
  for (uint64_t i = begin / CRFS_CHUNK_SIZE; i * CRFS_CHUNK_SIZE < begin + length; ++i) {
    same_[i] = false;
  }
}

void LoadedData::CompareWithImage(const SavedMemory& memory, uint64_t begin) {
  const bool is_there = memory.image != nullptr && &memory.image->state() == image_;
  for (const LoadedExtent& part : is_there ? memory.parts : memory.extents) {
    const bool same = part.place == LoadedExtent::Place::kImage &&
                      part.file_offset == image_->data_offset + begin;
    if (!same) MarkOther(begin, part.length);
    begin += part.length;
  }
}

uint64_t LoadedData::size() const { return state_->memory_size; }

absl::Status LoadedData::Read(uint64_t offset, std::span<char> buffer) const {
  while (!buffer.empty()) {
    const bool same = same_[offset / CRFS_CHUNK_SIZE];
    size_t length = std::min<size_t>(CRFS_CHUNK_SIZE, buffer.size());
    while (length < buffer.size() && same_[(offset + length) / CRFS_CHUNK_SIZE] == same) {
      length = std::min<size_t>(length + CRFS_CHUNK_SIZE, buffer.size());
    }
    const std::span<char> part = buffer.first(length);
    const absl::Status status = same ? ReadImage(offset, part) : ReadFiles(offset, part);
    if (!status.ok()) return status;
    offset += length;
    buffer = buffer.subspan(length);
  }
  return absl::OkStatus();
}

absl::Status LoadedData::ReadImage(uint64_t offset, std::span<char> buffer) const {
  const absl::Status status =
      ReadFully(image_->fd.get(), image_->data_offset + offset, UINT64_MAX, buffer);
  if (!status.ok()) return WithPath(status, image_->path);
  return CompareChecksums(offset, buffer);
}

absl::Status LoadedData::ReadFiles(uint64_t offset, std::span<char> buffer) const {
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t o, const Run& r) { return o < r.begin; });
  const SavedMemory* opened = nullptr;
  std::shared_ptr<const UniqueFd> file;
  for (--run; !buffer.empty(); ++run) {
    const uint64_t skip = offset - run->begin;
    const size_t length = std::min<uint64_t>(run->length - skip, buffer.size());
    // No file of a tree stays open between calls: there may be more than descriptors.
    if (run->memory != opened) {
      auto next = state_->OpenMemory(run->memory);
      if (!next.ok()) return next.status();
      file = *std::move(next);
      opened = run->memory;
    }
    const absl::Status status =
        ReadFully(file->get(), run->file_offset + skip, opened->file_size, buffer.first(length));
    if (!status.ok()) return WithPath(status, state_->MemoryPath(opened));
    offset += length;
    buffer = buffer.subspan(length);
  }
  return absl::OkStatus();
}

std::string LoadedCheckpoint::State::MemoryPath(const SavedMemory* saved) const {
  return saved == nullptr ? path : absl::StrCat(path, "/", saved->file);
}

absl::Status LoadedData::CompareChecksums(uint64_t offset, std::span<const char> bytes) const {
  const absl::string_view all(bytes.data(), bytes.size());
  for (size_t i = 0; i < all.size(); i += CRFS_CHUNK_SIZE) {
    if (DataChecksum(all.substr(i, CRFS_CHUNK_SIZE)) ==
        image_->checksums[(offset + i) / CRFS_CHUNK_SIZE]) {
      continue;
    }
    return absl::DataLossError(
        absl::StrCat(image_->path, ": at byte ", image_->data_offset + offset + i,
                     ": the checksum of memory is wrong: the image is damaged: copy it again"));
  }
  return absl::OkStatus();
}

}  // namespace crfs
