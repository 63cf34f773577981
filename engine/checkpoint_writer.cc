// SPDX-License-Identifier: Apache-2.0

#include "engine/checkpoint_writer.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "index/crc32c.h"
#include "index/image_writer.h"
#include "index/mutex.h"
#include "index/schema.h"

namespace crfs {
namespace {

// What one thread copies at a time: enough to make system calls cheap, few enough that the
// threads end together.
constexpr uint64_t kUnit = uint64_t{16} * CRFS_CHUNK_SIZE;

// Only learns how long the metadata is.
class NullSink : public ByteSink {
 public:
  absl::Status Write(absl::string_view) override { return absl::OkStatus(); }
};

absl::Status WriteRecords(const Snapshot& snapshot, ImageWriter& writer) {
  for (const ObjectType& type : ObjectTypes()) {
    for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
      const absl::Status status = writer.Object(type, id, snapshot.Get(type, id).body());
      if (!status.ok()) return status;
    }
  }
  for (const OwnedExtent& owned : snapshot.extents()) {
    const absl::Status status =
        writer.Extents(owned.owner_type, owned.owner_id, std::span(&owned.extent, 1));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

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
class MemoryCopy {
 public:
  MemoryCopy(const MemorySource& memory, int fd, uint64_t data_begin, const CopyProgress& progress)
      : memory_(memory), fd_(fd), data_begin_(data_begin), progress_(progress) {
    checksums_.resize((memory.size() + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE);
  }

  absl::StatusOr<std::vector<uint32_t>> Run() {
    const uint64_t units = (memory_.size() + kUnit - 1) / kUnit;
    const uint64_t threads =
        std::clamp<uint64_t>(std::thread::hardware_concurrency(), 1, std::max<uint64_t>(units, 1));
    std::vector<std::jthread> others;
    for (uint64_t i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
    Work();
    others.clear();  // joins
    const MutexLock lock(&mutex_);
    if (!failed_.ok()) return failed_;
    return std::move(checksums_);
  }

 private:
  void Work() {
    std::string buffer(std::min(kUnit, memory_.size()), '\0');
    for (uint64_t begin = next_.fetch_add(kUnit); begin < memory_.size() && !stop_;
         begin = next_.fetch_add(kUnit)) {
      const size_t length = std::min(kUnit, memory_.size() - begin);
      const absl::Status status = CopyUnit(begin, std::span(buffer).first(length));
      const MutexLock lock(&mutex_);
      if (!status.ok()) {
        failed_.Update(status);
        stop_ = true;
        return;
      }
      done_ += length;
      if (progress_) progress_(done_, memory_.size());
    }
  }

  absl::Status CopyUnit(uint64_t begin, std::span<char> buffer) {
    if (absl::Status status = memory_.Read(begin, buffer); !status.ok()) return status;
    const absl::string_view bytes(buffer.data(), buffer.size());
    for (uint64_t offset = 0; offset < bytes.size(); offset += CRFS_CHUNK_SIZE) {
      checksums_[(begin + offset) / CRFS_CHUNK_SIZE] =
          Crc32c(bytes.substr(offset, CRFS_CHUNK_SIZE));
    }
    return WriteAt(fd_, data_begin_ + begin, bytes);
  }

  const MemorySource& memory_;
  const int fd_;
  const uint64_t data_begin_;
  const CopyProgress& progress_;
  std::vector<uint32_t> checksums_;  // each chunk is one thread's
  std::atomic<uint64_t> next_ = 0;
  std::atomic<bool> stop_ = false;
  Mutex mutex_;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::StatusOr<std::vector<uint32_t>> WriteMemory(const Snapshot& snapshot,
                                                  const MemorySource& memory, const NewFile& file,
                                                  const CopyProgress& progress) {
  NullSink sink;
  ImageWriter writer(&sink);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  const absl::StatusOr<uint64_t> begin = writer.BeginData();
  if (!begin.ok()) return begin.status();
  return MemoryCopy(memory, file.fd(), *begin, progress).Run();
}

absl::Status WriteMetadata(const Snapshot& snapshot, const std::vector<uint32_t>& checksums,
                           NewFile& file) {
  ImageWriter writer(&file);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  if (absl::Status status = writer.DataInPlace(checksums); !status.ok()) return status;
  return writer.Finish();
}

absl::Status WriteStream(const Snapshot& snapshot, const MemorySource& memory, ByteSink& sink,
                         const CopyProgress& progress) {
  ImageWriter writer(&sink);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  std::string buffer(std::min(kUnit, memory.size()), '\0');
  for (uint64_t done = 0; done < memory.size();) {
    const std::span<char> unit =
        std::span(buffer).first(std::min<uint64_t>(kUnit, memory.size() - done));
    if (absl::Status status = memory.Read(done, unit); !status.ok()) return status;
    const absl::string_view bytes(unit.data(), unit.size());
    if (absl::Status status = writer.Data(bytes); !status.ok()) return status;
    done += unit.size();
    if (progress) progress(done, memory.size());
  }
  return writer.Finish();
}

}  // namespace crfs
