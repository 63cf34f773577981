// SPDX-License-Identifier: Apache-2.0

#include "index/data_checks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/data_checksum.h"

namespace crfs {
namespace {

int64_t ModifiedNs(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// How far the disk reads ahead of who reads on, in chunks.
constexpr uint64_t kAhead = 16;

uint64_t ChunksIn(uint64_t length) {
  return length / CRFS_CHUNK_SIZE + (length % CRFS_CHUNK_SIZE != 0);
}

}  // namespace

DataChecks::DataChecks(const ImageFile* image, uint64_t offset, uint64_t length)
    : image_(image),
      offset_(offset),
      length_(length),
      words_(ChunksIn(length) / 64 + 1),
      verified_(std::make_unique<std::atomic<uint64_t>[]>(words_)),
      changed_(0) {
  struct stat status;
  if (::fstat(image->fd(), &status) == 0) changed_ = ModifiedNs(status);
}

absl::Status DataChecks::CheckFile(uint64_t end) const {
  struct stat status;
  if (::fstat(image_->fd(), &status) != 0) return image_->Damaged(std::strerror(errno));
  if (static_cast<uint64_t>(status.st_size) < end) {
    return image_->Damaged(absl::StrCat("the image ends at offset ", status.st_size,
                                        ": it has been cut short since it was opened"));
  }
  const int64_t modified = ModifiedNs(status);
  if (changed_.load(std::memory_order_acquire) == modified) return absl::OkStatus();
  for (uint64_t i = 0; i < words_; ++i) verified_[i].store(0, std::memory_order_relaxed);
  changed_.store(modified, std::memory_order_release);
  return absl::OkStatus();
}

bool DataChecks::IsVerified(uint64_t chunk) const {
  return (verified_[chunk / 64].load(std::memory_order_acquire) >> (chunk % 64) & 1) != 0;
}

void DataChecks::ReadAhead(uint64_t chunk) const {
  if (chunk % kAhead != 0 || chunk == 0 || !IsVerified(chunk - 1)) return;
  ::posix_fadvise(image_->fd(), static_cast<off_t>(offset_ + (chunk + kAhead) * CRFS_CHUNK_SIZE),
                  kAhead * CRFS_CHUNK_SIZE, POSIX_FADV_WILLNEED);
}

absl::Status DataChecks::Verify(
    uint64_t image_offset, uint64_t length,
    absl::FunctionRef<absl::StatusOr<uint32_t>(uint64_t chunk)> checksum) const {
  if (length > UINT64_MAX - image_offset) return image_->Damaged("an offset beyond all files");
  if (auto status = CheckFile(image_offset + length); !status.ok()) return status;
  const uint64_t begin = std::max(image_offset, offset_);
  const uint64_t end = std::min(image_offset + length, offset_ + length_);
  if (begin >= end) return absl::OkStatus();

  for (uint64_t chunk = (begin - offset_) / CRFS_CHUNK_SIZE;
       chunk <= (end - 1 - offset_) / CRFS_CHUNK_SIZE; ++chunk) {
    if (IsVerified(chunk)) continue;
    ReadAhead(chunk);
    auto expected = checksum(chunk);
    if (!expected.ok()) return expected.status();
    thread_local std::vector<char> buffer(CRFS_CHUNK_SIZE);
    const uint64_t place = chunk * CRFS_CHUNK_SIZE;
    const uint64_t size = std::min<uint64_t>(CRFS_CHUNK_SIZE, length_ - place);
    if (auto status = image_->ReadAt({buffer.data(), size}, offset_ + place); !status.ok()) {
      return status;
    }
    if (DataChecksum({buffer.data(), size}) != *expected) {
      return image_->Damaged(
          absl::StrCat("offset ", offset_ + place, ": ", size,
                       " bytes of memory do not have the checksum that was saved with them"));
    }
    verified_[chunk / 64].fetch_or(uint64_t{1} << (chunk % 64), std::memory_order_release);
  }
  return absl::OkStatus();
}

}  // namespace crfs
