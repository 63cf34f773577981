// SPDX-License-Identifier: Apache-2.0
//
// To whom the objects of an image belong (Index::OwnerOf), found out while its index is
// built. A task belongs to the effective user of its leader thread if its memory is
// dumpable, else to root, as in /proc. A task without memory (a zombie) has nothing to hide:
// it belongs to that user, or to the root task's if its leader is not in the image. What a
// task refers to, directly or not, belongs to the same; what tasks of different users refer
// to belongs to root; of one user but different groups, to the user and root's group.
//
// Not for use by several threads at once.

#ifndef CRFS_INDEX_OWNERS_H_
#define CRFS_INDEX_OWNERS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "index/object_table.h"
#include "index/record.h"

namespace crfs {

class Owners {
 public:
  struct Owner {
    uint32_t uid = 0;
    uint32_t gid = 0;
    bool operator==(const Owner&) const = default;
  };

  // An object must be in the table before it is passed to Add. `table` must outlive this.
  explicit Owners(const ObjectTable* table) : table_(table) {}

  // All objects of the image, in its order.
  void Add(const ObjectView& object);

  // After the last object: that of the root task.
  Owner Main() const;
  // Whether all tasks have the same owner, and so has all else.
  bool AllTheSame() const;
  // Calls visit(type, id, owner) for every object that does not belong to Main(), by type
  // and id, until it returns an error.
  absl::Status ForEachOther(
      absl::FunctionRef<absl::Status(const ObjectType&, uint64_t, Owner)> visit);

 private:
  // Of one object: nobody's yet, one of owners_ (its index + 1), or of several owners.
  using Mark = uint32_t;
  static constexpr Mark kNobody = 0;
  static constexpr Mark kSeveral = UINT32_MAX;

  struct Task {
    uint32_t pid;
    bool has_memory;
    bool dumpable;
    std::optional<Owner> leader;  // the effective user of its leader thread
  };
  static Owner OwnerOf(const Task& task, Owner main);

  Mark MarkFor(Owner owner);
  void Give(Mark* old, Mark mark);
  void MarkType(const ObjectType& type);

  const ObjectTable* table_;
  uint64_t root_task_ = 0;
  std::vector<bool> dumpable_;                 // of each mm, by rank
  std::vector<Owner> creds_;                   // by rank
  std::vector<Task> tasks_;                    // by rank
  std::vector<Owner> owners_;                  // the different ones, for marks
  absl::flat_hash_map<uint64_t, Mark> known_;  // by uid and gid
  std::vector<std::vector<Mark>> marks_;       // by type and rank
};

}  // namespace crfs

#endif  // CRFS_INDEX_OWNERS_H_
