// SPDX-License-Identifier: Apache-2.0

#include "engine/memory_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

absl::Status ReadFully(int fd, uint64_t offset, std::span<char> buffer) {
  while (!buffer.empty()) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::ErrnoToStatus(
          errno, absl::StrFormat("memory at %#x of a frozen task cannot be read", offset));
    }
    if (got == 0) {
      return absl::DataLossError(
          absl::StrFormat("memory at %#x of a frozen task is not there any more", offset));
    }
    offset += static_cast<uint64_t>(got);
    buffer = buffer.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MemorySource> MemorySource::Create(const Snapshot& snapshot,
                                                  const OpenMemory& open) {
  MemorySource source;
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, int> opened;
  for (const OwnedExtent& owned : snapshot.extents()) {
    uint32_t type = owned.owner_type;
    uint64_t id = owned.owner_id;
    uint64_t base = 0;
    uint64_t end = UINT64_MAX;
    if (type == CRFS_TAG_shmem) end = snapshot.Get("shmem", id).Number("size");
    if (type == CRFS_TAG_vma) {  // its memory is read through its address space
      const ObjectView vma = snapshot.Get("vma", id);
      type = CRFS_TAG_mm;
      id = vma.Number("mm");
      base = vma.Number("start");
    }
    const auto [found, added] = opened.try_emplace({type, id}, -1);
    if (added) {
      absl::StatusOr<UniqueFd> memory = open(type, id);
      if (!memory.ok()) return memory.status();
      found->second = memory->get();
      source.memories_.push_back(*std::move(memory));
    }
    source.runs_.push_back(
        {source.size_, owned.extent.length, found->second, base + owned.extent.offset, end});
    source.size_ += owned.extent.length;
  }
  return source;
}

absl::Status MemorySource::Read(uint64_t offset, std::span<char> buffer) const {
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t o, const Run& r) { return o < r.begin; });
  for (--run; !buffer.empty(); ++run) {
    const uint64_t skip = offset - run->begin;
    const size_t length = std::min<uint64_t>(run->length - skip, buffer.size());
    const uint64_t begin = run->source + skip;
    const size_t there = std::min<uint64_t>(length, run->end - std::min(begin, run->end));
    const absl::Status status = ReadFully(run->fd, begin, buffer.first(there));
    if (!status.ok()) return status;
    std::fill_n(buffer.data() + there, length - there, '\0');
    offset += length;
    buffer = buffer.subspan(length);
  }
  return absl::OkStatus();
}

}  // namespace crfs
