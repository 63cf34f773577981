// SPDX-License-Identifier: Apache-2.0
//
// What a generated image holds: how many objects of each type, and which belongs to which.
// Everything is computed from the options and a number, nothing is remembered, so that an
// image may be of any size.

#ifndef CRFS_TESTS_GENERATE_PLAN_H_
#define CRFS_TESTS_GENERATE_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "tests/generate/generate.h"

namespace crfs {

inline constexpr uint64_t kPageSize = 4096;

class Plan {
 public:
  explicit Plan(const GenerateOptions& options);

  // Objects of a type without an owner, or of one that owns others; ids are 1 to Count.
  uint64_t Count(absl::string_view type) const;
  // Objects of an owned type that belong to the owner with this id, from 1.
  uint64_t CountOwned(absl::string_view type, uint64_t owner) const;

  // Tasks, from 1.
  bool IsZombie(uint64_t task) const { return task % 4 == 0; }
  // Which mm, fdtable, fs or sighand a living task has: some share.
  uint64_t Shared(uint64_t task) const;
  uint64_t Pid(uint64_t task) const;
  uint64_t Tid(uint64_t task, uint64_t index) const { return Pid(task) + index; }
  // Of thread 1, 2, ... of the image.
  uint64_t ThreadSignals(uint64_t thread) const { return thread % 2; }

  // The index-th mapping of an mm, from 0.
  struct Range {
    uint64_t start;
    uint64_t end;
  };
  Range Vma(uint64_t mm, uint64_t index) const;
  uint64_t ShmemSize(uint64_t shmem) const;

  // Extents of the memory, at most CRFS_EXTENTS_MAX at once: those from the `from`th on.
  std::vector<crfs_extent> VmaExtents(uint64_t mm, uint64_t index, uint64_t from) const;
  std::vector<crfs_extent> ShmemExtents(uint64_t shmem) const;

 private:
  uint64_t Files() const { return 3 + 5 * tasks_ + extra_files_; }
  uint64_t HeapPages(uint64_t mm) const;

  const uint64_t tasks_;
  const uint64_t living_;
  const uint64_t shared_;        // mms, fdtables, ... of them
  const uint64_t many_extents_;  // of the first vma; 0: as the others
  const uint64_t heap_pages_;    // in all
  uint64_t extra_files_ = 0;
  uint64_t extra_fds_ = 0;
  uint64_t extra_vmas_ = 0;
};

}  // namespace crfs

#endif  // CRFS_TESTS_GENERATE_PLAN_H_
