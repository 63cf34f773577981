// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/data_checksum.h"
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
  if (state->is_image) {
    runs_.push_back({0, state->memory_size, nullptr, state->data_offset});
    return;
  }
  uint64_t begin = 0;
  for (const auto& [owner, memory] : state->memory) {
    for (const LoadedExtent& extent : memory.extents) {
      runs_.push_back({begin, extent.length, &memory, extent.file_offset});
      begin += extent.length;
    }
  }
}

uint64_t LoadedData::size() const { return state_->memory_size; }

absl::Status LoadedData::Read(uint64_t offset, std::span<char> buffer) const {
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t o, const Run& r) { return o < r.begin; });
  const uint64_t first = offset;
  const std::span<const char> all = buffer;
  const SavedMemory* opened = nullptr;
  std::shared_ptr<const UniqueFd> file;
  for (--run; !buffer.empty(); ++run) {
    const uint64_t skip = offset - run->begin;
    const size_t length = std::min<uint64_t>(run->length - skip, buffer.size());
    // No file of a tree stays open between calls: there may be more than descriptors.
    if (file == nullptr || run->memory != opened) {
      auto next = state_->OpenMemory(run->memory);
      if (!next.ok()) return next.status();
      file = *std::move(next);
      opened = run->memory;
    }
    const uint64_t size = opened == nullptr ? UINT64_MAX : opened->file_size;
    absl::Status status =
        ReadFully(file->get(), run->file_offset + skip, size, buffer.first(length));
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat(state_->MemoryPath(opened), ": ", status.message()));
    }
    offset += length;
    buffer = buffer.subspan(length);
  }
  return state_->is_image ? CompareChecksums(first, all) : absl::OkStatus();
}

std::string LoadedCheckpoint::State::MemoryPath(const SavedMemory* saved) const {
  return saved == nullptr ? path : absl::StrCat(path, "/", saved->file);
}

absl::Status LoadedData::CompareChecksums(uint64_t offset, std::span<const char> bytes) const {
  const absl::string_view all(bytes.data(), bytes.size());
  for (size_t i = 0; i < all.size(); i += CRFS_CHUNK_SIZE) {
    if (DataChecksum(all.substr(i, CRFS_CHUNK_SIZE)) ==
        state_->checksums[(offset + i) / CRFS_CHUNK_SIZE]) {
      continue;
    }
    return absl::DataLossError(
        absl::StrCat(state_->path, ": at byte ", state_->data_offset + offset + i,
                     ": the checksum of memory is wrong: the image is damaged: copy it again"));
  }
  return absl::OkStatus();
}

}  // namespace crfs
