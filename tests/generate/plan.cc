// SPDX-License-Identifier: Apache-2.0

#include "tests/generate/plan.h"

#include <algorithm>
#include <cassert>

namespace crfs {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Enough for two records of extents.
constexpr uint64_t kManyExtents = CRFS_EXTENTS_MAX + 500;
// Extents of a heap: this many pages saved, then one that is not.
constexpr uint64_t kHeapExtent = 64 * kMiB / kPageSize;

// The part of `all` that falls to the `index`th of `count`, from 0.
uint64_t PartOf(uint64_t all, uint64_t index, uint64_t count) {
  return all / count + (index < all % count ? 1 : 0);
}

}  // namespace

Plan::Plan(const GenerateOptions& options)
    : tasks_(options.tasks),
      living_(options.tasks - options.tasks / 4),
      shared_((living_ + 1) / 2),
      many_extents_(options.memory >= 64 * kMiB ? kManyExtents : 0),
      heap_pages_(options.memory / kPageSize -
                  std::min(options.memory / kPageSize, many_extents_)) {
  uint64_t objects = 1;
  for (const absl::string_view type :
       {"ns", "pipe", "shmem", "file", "fs", "mm", "fdtable", "sighand", "cred", "task"}) {
    objects += Count(type);
  }
  for (uint64_t i = 1; i <= shared_; ++i) {
    for (const absl::string_view type : {"vma", "fd", "sigaction"}) objects += CountOwned(type, i);
  }
  uint64_t thread = 0;
  for (uint64_t task = 1; task <= tasks_; ++task) {
    objects += CountOwned("signal", task);
    for (uint64_t i = CountOwned("thread", task); i > 0; --i)
      objects += 1 + ThreadSignals(++thread);
  }
  if (options.objects <= objects) return;
  const uint64_t extra = options.objects - objects;
  extra_vmas_ = extra / 4;
  extra_fds_ = extra / 8 * 3;
  extra_files_ = extra - extra_vmas_ - extra_fds_;
}

uint64_t Plan::Count(absl::string_view type) const {
  if (type == "checkpoint") return 1;
  if (type == "ns") return 10;
  if (type == "pipe" || type == "shmem" || type == "cred") return 1 + shared_;
  if (type == "file") return Files();
  if (type == "task") return tasks_;
  assert(type == "fs" || type == "mm" || type == "fdtable" || type == "sighand");
  return shared_;
}

uint64_t Plan::CountOwned(absl::string_view type, uint64_t owner) const {
  if (type == "vma") return 5 + PartOf(extra_vmas_, owner - 1, shared_);
  if (type == "fd") return 4 + PartOf(extra_fds_, owner - 1, shared_);
  if (type == "sigaction") return 3;
  if (type == "signal") return owner % 3;
  assert(type == "thread");
  // Of a zombie, one thread or none is left.
  return IsZombie(owner) ? owner / 4 % 2 : 1 + owner % 3;
}

uint64_t Plan::Shared(uint64_t task) const {
  assert(!IsZombie(task));
  return 1 + (task - task / 4 - 1) % shared_;
}

uint64_t Plan::Pid(uint64_t task) const {
  // Not in the order of the ids: neighbours change places.
  uint64_t place = (task - 1) ^ 1;
  if (place >= tasks_) place = task - 1;
  return 300 + 4 * place;
}

uint64_t Plan::HeapPages(uint64_t mm) const { return PartOf(heap_pages_, mm - 1, shared_); }

Plan::Range Plan::Vma(uint64_t mm, uint64_t index) const {
  constexpr uint64_t kHighest = 0x7fff'ffff'f000;
  constexpr uint64_t kHighest57 = (uint64_t{1} << 56) - kPageSize;
  const uint64_t last = CountOwned("vma", mm) - 1;
  if (index == 0) {
    const uint64_t pages = mm == 1 && many_extents_ > 0 ? 2 * many_extents_ : 16;
    return {0x1000, 0x1000 + pages * kPageSize};
  }
  if (index == 1) return {0x5555'5555'4000, 0x5555'5555'4000 + 4 * kPageSize};
  if (index == 2) {
    const uint64_t pages = HeapPages(mm);
    return {0x5600'0000'0000, 0x5600'0000'0000 + (pages + pages / kHeapExtent + 1) * kPageSize};
  }
  if (index == last) {
    const uint64_t end = mm % 2 == 0 ? kHighest57 : kHighest;
    return {end - 33 * kPageSize, end};
  }
  // Some touch their neighbour, most do not.
  const uint64_t start = 0x7e00'0000'0000 + index * 0x10000;
  return {start, start + (1 + index % 16) * kPageSize};
}

uint64_t Plan::ShmemSize(uint64_t shmem) const { return shmem * 5 * kPageSize - 1; }

std::vector<crfs_extent> Plan::VmaExtents(uint64_t mm, uint64_t index, uint64_t from) const {
  std::vector<crfs_extent> all;
  if (index == 0 && mm == 1 && many_extents_ > 0) {
    const uint64_t end = std::min<uint64_t>(from + CRFS_EXTENTS_MAX, many_extents_);
    for (uint64_t i = from; i < end; ++i) all.push_back({2 * i * kPageSize, kPageSize});
    return all;
  }
  if (index == 2 && heap_pages_ > 0) {
    const uint64_t pages = HeapPages(mm);
    for (uint64_t i = from; all.size() < CRFS_EXTENTS_MAX && i * kHeapExtent < pages; ++i) {
      all.push_back({i * (kHeapExtent + 1) * kPageSize,
                     std::min(kHeapExtent, pages - i * kHeapExtent) * kPageSize});
    }
    return all;
  }
  if (from > 0) return all;
  // The first and the last page of one vma, a piece in the middle of another.
  if (index == 0)
    all = {{0, kPageSize}, {3 * kPageSize, 2 * kPageSize}, {15 * kPageSize, kPageSize}};
  if (index == 4) all = {{kPageSize, kPageSize}};
  return all;
}

std::vector<crfs_extent> Plan::ShmemExtents(uint64_t shmem) const {
  if (shmem % 2 == 0) return {};
  return {{(shmem * 5 - 1) * kPageSize, kPageSize}};
}

}  // namespace crfs
