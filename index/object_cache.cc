// SPDX-License-Identifier: Apache-2.0

#include "index/object_cache.h"

#include <utility>

namespace crfs {

std::shared_ptr<const Object> ObjectCache::Slot::Find(const ObjectType& type, uint64_t id) {
  MutexLock lock(&mutex);
  if (object == nullptr || object->view().id() != id || &object->view().type() != &type) {
    return nullptr;
  }
  return object;
}

void ObjectCache::Slot::Put(std::shared_ptr<const Object> newer) {
  MutexLock lock(&mutex);
  object.swap(newer);
}

absl::StatusOr<std::shared_ptr<const Object>> ObjectCache::Get(const ObjectType& type,
                                                               uint64_t id) const {
  Slot& slot = slots_[(id * 7 + type.index) % kSlots];
  if (auto found = slot.Find(type, id); found != nullptr) return found;
  if (auto found = big_.Find(type, id); found != nullptr) return found;
  auto object = index_->Get(type, id);
  if (!object.ok()) return object.status();
  auto shared = std::make_shared<const Object>(*std::move(object));
  (shared->view().body().size() <= kSmall ? slot : big_).Put(shared);
  return shared;
}

}  // namespace crfs
