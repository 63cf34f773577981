// SPDX-License-Identifier: Apache-2.0
//
// Shared memory that no path leads to, made again.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/words.h"
#include "engine/reopen_files.h"

namespace crfs {
namespace {

constexpr size_t kStep = 1 << 20;

// As /proc/PID/maps shows a memfd.
bool IsMemfd(absl::string_view name, std::string* short_name) {
  if (!absl::ConsumePrefix(&name, "/memfd:")) return false;
  *short_name = std::string(absl::StripSuffix(name, " (deleted)"));
  return true;
}

// 0, or an errno. What lies beyond the end of `from` is zero.
int CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length) {
  std::vector<char> buffer(kStep);
  while (length > 0) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(length, buffer.size()));
    ssize_t got = ::pread(from, buffer.data(), wanted, static_cast<off_t>(from_offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) {
      std::fill(buffer.begin(), buffer.end(), '\0');
      got = static_cast<ssize_t>(wanted);
    }
    const ssize_t put =
        ::pwrite(to, buffer.data(), static_cast<size_t>(got), static_cast<off_t>(to_offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : EIO;
    from_offset += static_cast<uint64_t>(put);
    to_offset += static_cast<uint64_t>(put);
    length -= static_cast<uint64_t>(put);
  }
  return 0;
}

}  // namespace

absl::Status ReopenedFiles::OpenShmems() {
  std::set<uint64_t> mapped;
  for (const uint64_t id : checkpoint_.Ids("vma")) {
    mapped.insert(checkpoint_.Get("vma", id).Number("shmem"));
  }
  for (const uint64_t id : checkpoint_.Ids("shmem")) {
    if (!mapped.contains(id) && !IsOfUsedFile("shmem", id)) continue;
    const ObjectView shmem = checkpoint_.Get("shmem", id);
    std::string name;
    if (!IsMemfd(shmem.Bytes("name"), &name)) {
      nameless_.push_back(id);
      continue;
    }
    UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid()) return Failed(shmem, "name", errno);
    if (::ftruncate(fd.get(), static_cast<off_t>(shmem.Number("size"))) != 0) {
      return Failed(shmem, "size", errno);
    }
    if (absl::Status status = AddShmem(id, std::move(fd)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReopenedFiles::AddShmem(uint64_t id, UniqueFd fd) {
  absl::StatusOr<UniqueFd> high = Raise(std::move(fd));
  if (!high.ok()) return high.status();
  shmems_[id] = *std::move(high);
  return absl::OkStatus();
}

absl::Status ReopenedFiles::FillShmems() const {
  for (const auto& [id, fd] : shmems_) {
    const ObjectView shmem = checkpoint_.Get("shmem", id);
    const absl::StatusOr<LoadedMemory> memory = checkpoint_.UnverifiedMemory(shmem);
    if (!memory.ok()) return memory.status();
    const uint64_t size = shmem.Number("size");
    for (const LoadedExtent& extent : memory->extents) {
      // Its last page may go on beyond its end.
      if (extent.offset >= size) continue;
      const uint64_t length = std::min(extent.length, size - extent.offset);
      const bool in_image = extent.place == LoadedExtent::Place::kImage;
      const int from = in_image ? memory->image_fd : memory->fd;
      const int error = CopyRange(from, extent.file_offset, fd.get(), extent.offset, length);
      if (error != 0) {
        return absl::ErrnoToStatus(
            error, absl::StrCat(checkpoint_.Where(shmem, "pages"), ": cannot be restored"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReopenedFiles::SealShmems() const {
  for (const auto& [id, fd] : shmems_) {
    const ObjectView shmem = checkpoint_.Get("shmem", id);
    std::string unused;
    if (!IsMemfd(shmem.Bytes("name"), &unused)) continue;
    const uint64_t seals = shmem.Number("seals");
    if (seals != 0 && ::fcntl(fd.get(), F_ADD_SEALS, static_cast<int>(seals)) != 0) {
      return absl::ErrnoToStatus(
          errno, absl::StrCat(checkpoint_.Where(shmem, "seals"), ": cannot be restored"));
    }
  }
  return absl::OkStatus();
}

}  // namespace crfs
