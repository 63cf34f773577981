// SPDX-License-Identifier: Apache-2.0

#include "index/verify_chunks.h"

#include <sys/mman.h>

#include <algorithm>
#include <span>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/data_checksum.h"
#include "index/mutex.h"
#include "index/thread_team.h"

namespace crfs {
namespace {

// What a thread takes at a time, at most: chunks that stand one behind the other.
constexpr size_t kRun = 16;

// A range of a file as the page cache has it; empty if that cannot be had.
class MappedRange {
 public:
  MappedRange(int fd, uint64_t offset, size_t length) : length_(length + offset % kPage) {
    skip_ = offset % kPage;
    memory_ =
        ::mmap(nullptr, length_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset - skip_));
    // Whatever is wrong with the file is an error here, and a signal later.
    if (memory_ != MAP_FAILED && ::madvise(memory_, length_, MADV_POPULATE_READ) != 0) Unmap();
  }
  MappedRange(const MappedRange&) = delete;
  ~MappedRange() { Unmap(); }
  absl::string_view bytes() const {
    if (memory_ == MAP_FAILED) return {};
    return {static_cast<const char*>(memory_) + skip_, length_ - skip_};
  }

 private:
  void Unmap() {
    if (memory_ != MAP_FAILED) ::munmap(memory_, length_);
    memory_ = MAP_FAILED;
  }
  static constexpr uint64_t kPage = 4096;
  size_t length_;
  size_t skip_ = 0;
  void* memory_ = MAP_FAILED;
};

// The threads take runs of chunks in turn until none is left or one has failed.
class Verification {
 public:
  Verification(const LoadedCheckpoint::State& image, const std::vector<uint64_t>& chunks,
               const LoadedCheckpoint::Progress& progress)
      : image_(image), chunks_(chunks), progress_(progress), data_(&image) {
    for (const uint64_t chunk : chunks) size_ += EndOf(chunk) - chunk * CRFS_CHUNK_SIZE;
  }

  absl::Status Run() {
    {
      const ThreadTeam others(ThreadTeam::Others(chunks_.size() / kRun), [this] { Work(); });
      Work();
    }
    const MutexLock lock(&mutex_);
    return failed_;
  }

 private:
  struct Range {
    uint64_t begin = 0;  // in the data, where a chunk begins
    uint64_t end = 0;    // where one ends; as `begin`: there is none
  };

  uint64_t EndOf(uint64_t chunk) const {
    return std::min((chunk + 1) * CRFS_CHUNK_SIZE, data_.size());
  }

  Range Take() {
    const MutexLock lock(&mutex_);
    if (next_ == chunks_.size() || !failed_.ok()) return {};
    Range range = {chunks_[next_] * CRFS_CHUNK_SIZE, EndOf(chunks_[next_])};
    const size_t most = std::min(chunks_.size(), next_ + kRun);
    while (++next_ < most && chunks_[next_] * CRFS_CHUNK_SIZE == range.end) {
      range.end = EndOf(chunks_[next_]);
    }
    return range;
  }

  void Work() {
    for (Range range = Take(); range.begin < range.end; range = Take()) {
      const absl::Status status = Compare(range);
      const MutexLock lock(&mutex_);
      failed_.Update(status);
      done_ += range.end - range.begin;
      if (progress_) progress_(done_, size_);
    }
  }

  // What is wrong, reading tells best.
  absl::Status Compare(const Range& range) const {
    if (IsRight(range)) return absl::OkStatus();
    std::string buffer(range.end - range.begin, '\0');
    return data_.Read(range.begin, std::span(buffer));
  }

  bool IsRight(const Range& range) const {
    const size_t length = range.end - range.begin;
    const MappedRange mapped(image_.fd.get(), image_.data_offset + range.begin, length);
    const absl::string_view bytes = mapped.bytes();
    for (size_t i = 0; i < bytes.size(); i += CRFS_CHUNK_SIZE) {
      const uint32_t wanted = image_.checksums[(range.begin + i) / CRFS_CHUNK_SIZE];
      if (DataChecksum(bytes.substr(i, CRFS_CHUNK_SIZE)) != wanted) return false;
    }
    return !bytes.empty();
  }

  const LoadedCheckpoint::State& image_;
  const std::vector<uint64_t>& chunks_;
  const LoadedCheckpoint::Progress& progress_;
  const LoadedData data_;
  uint64_t size_ = 0;
  Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::Status VerifyChunks(const LoadedCheckpoint::State& image, const std::vector<uint64_t>& chunks,
                          const LoadedCheckpoint::Progress& progress) {
  return Verification(image, chunks, progress).Run();
}

}  // namespace crfs
