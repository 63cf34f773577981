// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_shared.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/own_mappings.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

// 0, or an errno. What lies beyond the end of a file of a tree is zero.
int ReadExtent(int file, const LoadedExtent& extent, char* to, uint64_t length) {
  for (uint64_t done = 0; done < length;) {
    const ssize_t got =
        ::pread(file, to + done, length - done, static_cast<off_t>(extent.file_offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    done += static_cast<uint64_t>(got);
  }
  return 0;
}

int FillFrom(const LoadedMemory& memory, const AddressRange& place, uint64_t size) {
  for (const LoadedExtent& extent : memory.extents) {
    if (extent.offset >= size) continue;
    const bool in_image = extent.place == LoadedExtent::Place::kImage;
    const int error = ReadExtent(in_image ? memory.image_fd : memory.fd, extent,
                                 reinterpret_cast<char*>(place.start + extent.offset),
                                 std::min(extent.length, size - extent.offset));
    if (error != 0) return error;
  }
  return 0;
}

}  // namespace

SharedMemory::~SharedMemory() {
  for (const auto& [id, place] : places_) {
    ::munmap(reinterpret_cast<void*>(place.start), place.size());
  }
}

absl::Status SharedMemory::Make(const LoadedCheckpoint& checkpoint, const ReopenedFiles& files) {
  if (files.nameless_shmems().empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<AddressRange>> taken = OwnMappingRanges();
  if (!taken.ok()) return taken.status();
  for (const uint64_t id : checkpoint.Ids("vma")) {
    const ObjectView vma = checkpoint.Get("vma", id);
    taken->push_back({vma.KeyNumber(), vma.Number("end")});
  }
  for (const uint64_t id : files.nameless_shmems()) {
    const ObjectView shmem = checkpoint.Get("shmem", id);
    const uint64_t size = shmem.Number("size");
    const uint64_t whole = (std::max<uint64_t>(size, 1) + kPage - 1) / kPage * kPage;
    const std::optional<uint64_t> gap = FindAddressGap(whole, *taken);
    void* const at =
        gap.has_value()
            ? ::mmap(reinterpret_cast<void*>(*gap), whole, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)
            : MAP_FAILED;
    if (at == MAP_FAILED) {
      return absl::ErrnoToStatus(gap.has_value() ? errno : ENOMEM,
                                 absl::StrCat(checkpoint.Where(shmem, "size"), ": cannot be made"));
    }
    const AddressRange place = {*gap, *gap + whole};
    places_[id] = place;
    taken->push_back(place);
    const absl::StatusOr<LoadedMemory> memory = checkpoint.UnverifiedMemory(shmem);
    if (!memory.ok()) return memory.status();
    if (const int error = FillFrom(*memory, place, size); error != 0) {
      return absl::ErrnoToStatus(
          error, absl::StrCat(checkpoint.Where(shmem, "pages"), ": cannot be restored"));
    }
  }
  return absl::OkStatus();
}

}  // namespace crfs
