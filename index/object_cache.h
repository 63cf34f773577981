// SPDX-License-Identifier: Apache-2.0
//
// The objects looked at last. A directory of rows is listed, and each of its files then
// read, from one object; without a cache each of these steps would find, read and check it
// again.

#ifndef CRFS_INDEX_OBJECT_CACHE_H_
#define CRFS_INDEX_OBJECT_CACHE_H_

#include <array>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "index/index.h"
#include "index/mutex.h"

namespace crfs {

// Holds at most 1 MiB of small objects, and one big one. Any thread.
class ObjectCache {
 public:
  // `index` must outlive the cache.
  explicit ObjectCache(const Index* index) : index_(index) {}

  // As Index::Get.
  absl::StatusOr<std::shared_ptr<const Object>> Get(const ObjectType& type, uint64_t id) const;

 private:
  static constexpr size_t kSlots = 64;
  static constexpr size_t kSmall = 16 << 10;  // bytes of a body

  struct Slot {
    Mutex mutex;
    std::shared_ptr<const Object> object ABSL_GUARDED_BY(mutex);

    std::shared_ptr<const Object> Find(const ObjectType& type, uint64_t id);
    void Put(std::shared_ptr<const Object> newer);
  };

  const Index* index_;
  mutable std::array<Slot, kSlots> slots_;
  mutable Slot big_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_OBJECT_CACHE_H_
