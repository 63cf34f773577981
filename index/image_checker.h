// SPDX-License-Identifier: Apache-2.0
//
// The rules that span records: order, identity, references, memory (docs/image-format.md,
// "Rules"). The reader and the writer of images both ask it, so that what one accepts the
// other does too.

#ifndef CRFS_INDEX_IMAGE_CHECKER_H_
#define CRFS_INDEX_IMAGE_CHECKER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "crfs/image.h"
#include "index/record.h"
#include "index/schema.h"

namespace crfs {

// Ids that ascend, as few intervals: they are consecutive but for what was taken out.
class IdSet {
 public:
  // `id` must be above all before it. False if there are too many gaps to remember.
  bool Add(uint64_t id);
  bool Contains(uint64_t id) const;

 private:
  struct Interval {
    uint64_t first;
    uint64_t last;
  };
  std::vector<Interval> intervals_;
};

// Takes the parts of one image in their order. Errors: DATA_LOSS says what is wrong, not
// where; UNIMPLEMENTED: an architecture that is not known; RESOURCE_EXHAUSTED: more than
// this program can check. Memory: a few bytes for each mapping, 16 for each task. Not for
// use by several threads at once.
class ImageChecker {
 public:
  ImageChecker();
  ~ImageChecker();

  // The object's layout must have been checked (ObjectView::Parse).
  absl::Status Object(const ObjectView& object);
  absl::Status EndObjects();
  // One EXTENTS record.
  absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                       std::span<const crfs_extent> extents);

  uint64_t page_size() const { return page_size_; }  // bytes; valid after the first object
  uint64_t objects() const { return objects_; }      // objects so far
  uint64_t extents() const { return extents_; }      // extents so far
  uint64_t data() const { return data_; }            // bytes of all extents so far

 private:
  struct TypeRules;
  // What later records need of a task.
  struct Task {
    uint64_t id;
    uint32_t pid;
    bool zombie;
  };
  // What EXTENTS need of the owners of one type: pairs of varints, the id's distance from
  // the one before and the number of pages.
  struct Sizes {
    std::string bytes;
    uint64_t last_id = 0;
    // Where reading stands.
    size_t position = 0;
    uint64_t id = 0;
    uint64_t pages = 0;
  };

  absl::Status Order(const ObjectView& object);
  absl::Status Values(const ObjectView& object, const TypeRules& rules) const;
  absl::Status References(const ObjectView& object, const TypeRules& rules) const;
  absl::Status OwnerAndKey(const ObjectView& object);
  absl::Status Checkpoint(const ObjectView& object);
  absl::Status Vma(const ObjectView& object);
  absl::Status NewTask(const ObjectView& object);
  absl::Status NewThread(const ObjectView& object);
  // Ends the task whose threads were last seen, and all after it before the task `next`.
  absl::Status EndTasks(uint64_t next);
  absl::Status RememberSize(const ObjectView& object);
  // The pages of the owner, from Sizes; DATA_LOSS if there is no such object.
  absl::Status FindOwner(uint32_t owner_type, uint64_t owner_id, uint64_t& pages);

  const std::vector<TypeRules>& rules_;  // by ObjectType::index
  std::vector<IdSet> ids_;               // likewise
  std::vector<Sizes> sizes_;             // likewise; used by types with memory
  uint64_t page_size_ = 0;
  uint64_t root_ = 0;
  uint64_t objects_ = 0;
  uint64_t extents_ = 0;
  uint64_t data_ = 0;

  // The last object.
  const ObjectType* type_ = nullptr;
  uint64_t id_ = 0;
  uint64_t owner_ = 0;
  uint64_t key_ = 0;
  uint64_t range_end_ = 0;  // of a vma

  std::vector<bool> pids_, tids_;
  std::vector<Task> tasks_;
  size_t task_ = 0;           // the task whose threads come now
  bool has_threads_ = false;  // whether one of them has been seen
  bool has_leader_ = false;   // whether the one with the pid as its tid has been seen

  // The last EXTENTS record.
  uint32_t extents_type_ = 0;
  uint64_t extents_id_ = 0;
  uint64_t extents_pages_ = 0;
  uint64_t extents_end_ = 0;
  size_t extents_count_ = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_CHECKER_H_
