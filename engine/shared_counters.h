// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_SHARED_COUNTERS_H_
#define CRFS_ENGINE_SHARED_COUNTERS_H_

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crfs {

// Numbers, 0 at first, in memory that the process which makes it shares with its descendants.
class SharedCounters {
 public:
  static absl::StatusOr<SharedCounters> Create(size_t count) {
    const size_t size = (count + 1) * sizeof(std::atomic<uint32_t>);  // never nothing
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory for a restart");
    return SharedCounters(static_cast<std::atomic<uint32_t>*>(memory), size);
  }
  SharedCounters(SharedCounters&& other) noexcept
      : counters_(std::exchange(other.counters_, nullptr)), size_(other.size_) {}
  SharedCounters& operator=(SharedCounters&&) = delete;
  ~SharedCounters() {
    if (counters_ != nullptr) ::munmap(counters_, size_);
  }
  std::atomic<uint32_t>& operator[](size_t i) { return counters_[i]; }

 private:
  SharedCounters(std::atomic<uint32_t>* counters, size_t size) : counters_(counters), size_(size) {}
  std::atomic<uint32_t>* counters_;
  size_t size_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_SHARED_COUNTERS_H_
