// SPDX-License-Identifier: Apache-2.0

#include "engine/memory_source.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
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

absl::Status WriteFully(int fd, uint64_t offset, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      return absl::ErrnoToStatus(put < 0 ? errno : ENOSPC, "shared memory cannot be kept");
    }
    offset += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

// Whether a signal that ends crfs waits: they are held back where there is something to put in
// order first (engine/ptrace_engine.cc).
bool EndIsAskedFor() {
  sigset_t pending;
  if (::sigpending(&pending) != 0) return false;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
    if (::sigismember(&pending, signal) == 1) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<MemorySource> MemorySource::Create(const Snapshot& snapshot,
                                                  const OpenMemory& open) {
  MemorySource source;
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, size_t> opened;
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
    const auto [found, added] = opened.try_emplace({type, id}, source.memories_.size());
    if (added) {
      absl::StatusOr<UniqueFd> memory = open(type, id);
      if (!memory.ok()) return memory.status();
      source.memories_.push_back({type, id, *std::move(memory)});
    }
    source.runs_.push_back(
        {source.size_, owned.extent.length, found->second, base + owned.extent.offset, end});
    source.size_ += owned.extent.length;
  }
  return source;
}

absl::Status MemorySource::Keep(const Snapshot& snapshot,
                                absl::FunctionRef<bool(const OwnedExtent& owned)> which,
                                UniqueFd file) {
  constexpr uint64_t kPiece = 1 << 20;
  std::string buffer(kPiece, '\0');
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (!which(snapshot.extents()[i])) continue;
    Run& run = runs_[i];
    for (uint64_t done = 0; done < run.length;) {
      const std::span<char> piece(buffer.data(), std::min(run.length - done, kPiece));
      if (absl::Status status = Read(run.begin + done, piece); !status.ok()) return status;
      if (absl::Status status = WriteFully(file.get(), run.begin + done, piece); !status.ok()) {
        return status;
      }
      done += piece.size();
    }
    run.memory = memories_.size();
    run.source = run.begin;
    run.end = UINT64_MAX;
  }
  memories_.push_back({0, 0, std::move(file)});
  return absl::OkStatus();
}

absl::Status MemorySource::ReopenAddressSpaces(const OpenMemory& open) {
  for (Memory& memory : memories_) {
    if (memory.type != CRFS_TAG_mm) continue;
    absl::StatusOr<UniqueFd> opened = open(memory.type, memory.id);
    if (!opened.ok()) return opened.status();
    memory.fd = *std::move(opened);
  }
  return absl::OkStatus();
}

absl::Status MemorySource::Read(uint64_t offset, std::span<char> buffer) const {
  if (EndIsAskedFor()) return absl::AbortedError("crfs was told to end");
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t o, const Run& r) { return o < r.begin; });
  for (--run; !buffer.empty(); ++run) {
    const uint64_t skip = offset - run->begin;
    const size_t length = std::min<uint64_t>(run->length - skip, buffer.size());
    const uint64_t begin = run->source + skip;
    const size_t there = std::min<uint64_t>(length, run->end - std::min(begin, run->end));
    const absl::Status status =
        ReadFully(memories_[run->memory].fd.get(), begin, buffer.first(there));
    if (!status.ok()) return status;
    std::fill_n(buffer.data() + there, length - there, '\0');
    offset += length;
    buffer = buffer.subspan(length);
  }
  return absl::OkStatus();
}

}  // namespace crfs
