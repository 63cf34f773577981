// SPDX-License-Identifier: Apache-2.0
//
// Private memory is put in place: by preadv(2) of the builder, from an image straight to where it
// belongs; where it may not be written, or comes from a file that the builder does not have, by
// crfs.

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "engine/ptrace_space.h"
#include "engine/ptrace_vma.h"
#include "engine/zeroed_memory.h"

namespace crfs {
namespace {

constexpr size_t kRangesMax = 1024;       // IOV_MAX
constexpr uint64_t kBatchMax = 64 << 20;  // bytes: one call is not to last long
constexpr uint64_t kCopyStep = 1 << 20;

// The longest run of extents from `begin` that lie one after the other in the file.
size_t EndOfRun(std::span<const LoadedExtent> extents, size_t begin) {
  size_t end = begin + 1;
  while (end < extents.size() && end - begin < kRangesMax &&
         extents[end].file_offset == extents[end - 1].file_offset + extents[end - 1].length &&
         extents[end].place == extents[begin].place) {
    ++end;
  }
  return end;
}

}  // namespace

absl::Status AddressSpace::Fill() {
  for (const uint64_t id : sources_->checkpoint.Owned("vma", id_)) {
    const ObjectView vma = sources_->checkpoint.Get("vma", id);
    if (IsSpecial(vma)) continue;
    if (absl::Status status = FillOne(vma); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AddressSpace::FillOne(const ObjectView& vma) {
  const absl::StatusOr<LoadedMemory> memory = sources_->checkpoint.UnverifiedMemory(vma);
  if (!memory.ok()) return memory.status();
  const std::span<const LoadedExtent> extents = memory->extents;
  const bool writable = (FillProtection(vma) & PROT_WRITE) != 0;
  for (size_t begin = 0; begin < extents.size();) {
    const size_t end = EndOfRun(extents, begin);
    const bool in_image = extents[begin].place == LoadedExtent::Place::kImage;
    const int own = in_image ? memory->image_fd : memory->fd;
    const auto builders = sources_->images.find(own);
    const bool known = builders != sources_->images.end() && (in_image || memory->file == nullptr);
    if (known && writable) {
      absl::Status status = ReadInto(vma, builders->second, extents.subspan(begin, end - begin));
      if (!status.ok()) return status;
    } else {
      for (const LoadedExtent& extent : extents.subspan(begin, end - begin)) {
        if (absl::Status status = CopyInto(vma, own, extent); !status.ok()) return status;
      }
    }
    begin = end;
  }
  return Zero(vma, *memory);
}

// What was left out of the checkpoint, and would be the contents of a file.
absl::Status AddressSpace::Zero(const ObjectView& vma, const LoadedMemory& memory) {
  for (const auto& [offset, length] : ZeroedRanges(vma, memory)) {
    const std::string zeros(std::min<uint64_t>(length, kCopyStep), '\0');
    for (uint64_t done = 0; done < length; done += zeros.size()) {
      absl::Status status =
          Write(vma.KeyNumber() + offset + done,
                absl::string_view(zeros).substr(0, std::min<uint64_t>(length - done, kCopyStep)));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// `all` lie one after the other in the file.
absl::Status AddressSpace::ReadInto(const ObjectView& vma, int descriptor,
                                    std::span<const LoadedExtent> all) {
  std::vector<iovec> ranges;
  uint64_t offset = all.front().file_offset, total = 0;
  const auto read = [&]() -> absl::Status {
    if (ranges.empty()) return absl::OkStatus();
    const absl::StatusOr<uint64_t> at = Put(absl::string_view(
        reinterpret_cast<const char*>(ranges.data()), ranges.size() * sizeof(iovec)));
    if (!at.ok()) return at.status();
    const absl::StatusOr<long> got = builder_.Call(
        SYS_preadv, {static_cast<uint64_t>(descriptor), *at, ranges.size(), offset, 0});
    if (absl::Status status = Check(vma, "pages", got); !status.ok()) return status;
    if (static_cast<uint64_t>(*got) != total) return Failed(vma, "pages", ENODATA);
    offset += total;
    total = 0;
    ranges.clear();
    return absl::OkStatus();
  };
  for (const LoadedExtent& extent : all) {
    for (uint64_t done = 0; done < extent.length;) {
      const uint64_t length = std::min(extent.length - done, kBatchMax - total);
      ranges.push_back({reinterpret_cast<void*>(vma.KeyNumber() + extent.offset + done), length});
      done += length;
      total += length;
      if (total < kBatchMax) continue;
      if (absl::Status status = read(); !status.ok()) return status;
    }
  }
  return read();
}

// What lies beyond the end of a file of a tree is zero.
absl::Status AddressSpace::CopyInto(const ObjectView& vma, int descriptor,
                                    const LoadedExtent& extent) {
  std::string buffer(std::min(extent.length, kCopyStep), '\0');
  for (uint64_t done = 0; done < extent.length;) {
    const size_t wanted = static_cast<size_t>(std::min(extent.length - done, kCopyStep));
    const ssize_t got =
        ::pread(descriptor, buffer.data(), wanted, static_cast<off_t>(extent.file_offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(vma, "pages", errno);
    const size_t length = got == 0 ? wanted : static_cast<size_t>(got);
    if (got == 0) std::fill(buffer.begin(), buffer.end(), '\0');
    absl::Status status =
        Write(vma.KeyNumber() + extent.offset + done, absl::string_view(buffer).substr(0, length));
    if (!status.ok()) return status;
    done += length;
  }
  return absl::OkStatus();
}

}  // namespace crfs
