// SPDX-License-Identifier: Apache-2.0
//
// Saved memory as a sparse file: that of one vma or shared memory object (its `pages`), or
// that of a whole address space, by address. Bytes that were not saved are holes and read
// as zeros.

#ifndef CRFS_INDEX_MEMORY_H_
#define CRFS_INDEX_MEMORY_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "index/index.h"
#include "index/object_cache.h"
#include "index/tree.h"

namespace crfs {

// Any thread. Errors are those of Index; OUT_OF_RANGE: a seek from the end or beyond.
class Memory {
 public:
  // Both must outlive it.
  Memory(const Index* index, const ObjectCache* objects) : index_(index), objects_(objects) {}
  virtual ~Memory() = default;

  uint64_t size() const { return size_; }  // bytes, at most INT64_MAX
  absl::StatusOr<Contents> Read(uint64_t offset, uint64_t length) const;
  absl::StatusOr<uint64_t> SeekData(uint64_t offset) const;
  absl::StatusOr<uint64_t> SeekHole(uint64_t offset) const;

 protected:
  // The bytes from an offset up to `end`, which are all saved, in one piece, or all not.
  struct Segment {
    uint64_t end;
    bool saved = false;
    uint64_t image_offset = 0;
  };
  // `offset` is below size().
  virtual absl::StatusOr<Segment> At(uint64_t offset) const = 0;
  // The same in the memory of one object, between `offset` and `end`.
  absl::StatusOr<Segment> AtOf(const ObjectType& type, uint64_t id, uint64_t offset,
                               uint64_t end) const;
  void set_size(uint64_t size) { size_ = size < INT64_MAX ? size : INT64_MAX; }

  const Index* index_;
  const ObjectCache* objects_;

 private:
  uint64_t size_ = 0;
};

// The memory of a vma (as long as it is) or of a shmem (its size).
std::unique_ptr<Memory> ObjectMemory(const Index* index, const ObjectCache* objects,
                                     std::shared_ptr<const Object> object);
uint64_t ObjectMemorySize(const ObjectView& object);

// All of an address space; as long as the end of its last mapping that a file offset can
// reach. Private pages stand before those of the shared memory that is mapped.
absl::StatusOr<std::unique_ptr<Memory>> AddressSpace(const Index* index, const ObjectCache* objects,
                                                     uint64_t mm_id);

}  // namespace crfs

#endif  // CRFS_INDEX_MEMORY_H_
