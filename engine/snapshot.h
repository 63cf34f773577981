// SPDX-License-Identifier: Apache-2.0
//
// The metadata of a checkpoint while it is being taken: all objects and the table of saved
// memory, before they are written. Not for use by several threads at once.

#ifndef CRFS_ENGINE_SNAPSHOT_H_
#define CRFS_ENGINE_SNAPSHOT_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/record.h"

namespace crfs {

// One saved range of one owner (a vma or shmem object).
struct OwnedExtent {
  uint32_t owner_type;
  uint64_t owner_id;
  crfs_extent extent;
};

// Ids of each type are 1, 2, 3, ... in the order of Add.
class Snapshot {
 public:
  Snapshot();

  // Returns the new object's id. The layout of the body is checked (ObjectView::Parse).
  absl::StatusOr<uint64_t> Add(const ObjectType& type, std::string body);
  absl::StatusOr<uint64_t> Add(const ObjectBuilder& builder);
  // Puts another body in place of an object's. The object must exist.
  absl::Status Replace(uint64_t id, const ObjectBuilder& builder);
  // Puts other objects, numbered from 1, in place of all of a type. The caller sees to references.
  void ReplaceAll(const ObjectType& type, std::vector<std::string> bodies);

  uint64_t Count(const ObjectType& type) const;
  // The object must exist. Valid until it is replaced or one of its type is added.
  ObjectView Get(const ObjectType& type, uint64_t id) const;
  ObjectView Get(absl::string_view type, uint64_t id) const;
  // All objects of a type, in order of their ids.
  void ForEach(absl::string_view type, absl::FunctionRef<void(const ObjectView&)> visit) const;

  std::vector<OwnedExtent>& extents() { return extents_; }
  const std::vector<OwnedExtent>& extents() const { return extents_; }

 private:
  std::vector<std::vector<std::string>> bodies_;  // by ObjectType::index, then id - 1
  std::vector<OwnedExtent> extents_;
};

// One way to get at an open file description: a descriptor of a thread. It lives: of a task's first
// thread, once it has ended, /proc shows no descriptors.
struct Holder {
  pid_t tid = 0;
  int fd = -1;
};

// For each file object, by id - 1, the first thread and descriptor that hold it and are not
// excluded; tid 0 where none does (a mapped file, a cwd).
std::vector<Holder> FindHolders(const Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_SNAPSHOT_H_
