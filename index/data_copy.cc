// SPDX-License-Identifier: Apache-2.0

#include "index/data_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "index/data_checksum.h"
#include "index/mutex.h"
#include "index/thread_team.h"

namespace crfs {
namespace {

// What one thread copies at a time: enough to make system calls cheap, few enough that the
// threads end together.
constexpr uint64_t kUnit = uint64_t{16} * CRFS_CHUNK_SIZE;

absl::Status WriteAt(int fd, uint64_t offset, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return absl::ErrnoToStatus(errno, "memory cannot be written");
    offset += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

// The threads take units in turn until none is left or one has failed.
class Copy {
 public:
  Copy(const DataSource& source, int fd, uint64_t begin, DiskWrites when,
       const CopyProgress& progress)
      : source_(source), fd_(fd), begin_(begin), when_(when), progress_(progress) {
    checksums_.resize((source.size() + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE);
  }

  absl::StatusOr<std::vector<uint32_t>> Run() {
    const uint64_t units = (source_.size() + kUnit - 1) / kUnit;
    {
      const ThreadTeam others(ThreadTeam::Others(units), [this] { Work(); });
      Work();
    }
    const MutexLock lock(&mutex_);
    if (!failed_.ok()) return failed_;
    return std::move(checksums_);
  }

 private:
  void Work() {
    const uint64_t size = source_.size();
    std::string buffer(std::min(kUnit, size), '\0');
    for (uint64_t begin = next_.fetch_add(kUnit); begin < size && !stop_;
         begin = next_.fetch_add(kUnit)) {
      const size_t length = std::min(kUnit, size - begin);
      const absl::Status status = CopyUnit(begin, std::span(buffer).first(length));
      const MutexLock lock(&mutex_);
      if (!status.ok()) {
        failed_.Update(status);
        stop_ = true;
        return;
      }
      done_ += length;
      if (progress_) progress_(done_, size);
    }
  }

  absl::Status CopyUnit(uint64_t begin, std::span<char> buffer) {
    if (absl::Status status = source_.Read(begin, buffer); !status.ok()) return status;
    const absl::string_view bytes(buffer.data(), buffer.size());
    for (uint64_t offset = 0; offset < bytes.size(); offset += CRFS_CHUNK_SIZE) {
      checksums_[(begin + offset) / CRFS_CHUNK_SIZE] =
          DataChecksum(bytes.substr(offset, CRFS_CHUNK_SIZE));
    }
    if (absl::Status status = WriteAt(fd_, begin_ + begin, bytes); !status.ok()) return status;
    if (when_ == DiskWrites::kAtOnce) {
      // Only a hint: the sync at the end is what counts.
      ::sync_file_range(fd_, static_cast<off_t>(begin_ + begin), static_cast<off_t>(bytes.size()),
                        SYNC_FILE_RANGE_WRITE);
    }
    return absl::OkStatus();
  }

  const DataSource& source_;
  const int fd_;
  const uint64_t begin_;
  const DiskWrites when_;
  const CopyProgress& progress_;
  std::vector<uint32_t> checksums_;  // each chunk is one thread's
  std::atomic<uint64_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  Mutex mutex_;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::StatusOr<std::vector<uint32_t>> CopyInPlace(const DataSource& source, int fd, uint64_t begin,
                                                  DiskWrites when, const CopyProgress& progress) {
  return Copy(source, fd, begin, when, progress).Run();
}

absl::Status CopyInOrder(const DataSource& source, ImageWriter& writer,
                         const CopyProgress& progress) {
  std::string buffer(std::min(kUnit, source.size()), '\0');
  for (uint64_t done = 0; done < source.size();) {
    const std::span<char> unit =
        std::span(buffer).first(std::min<uint64_t>(kUnit, source.size() - done));
    if (absl::Status status = source.Read(done, unit); !status.ok()) return status;
    const absl::string_view bytes(unit.data(), unit.size());
    if (absl::Status status = writer.Data(bytes); !status.ok()) return status;
    done += unit.size();
    if (progress) progress(done, source.size());
  }
  return absl::OkStatus();
}

}  // namespace crfs
