// SPDX-License-Identifier: Apache-2.0
//
// Finds out which objects a walked tree has, which ids they have in the image, and what their
// references mean. Not for use by several threads at once.

#ifndef CRFS_INDEX_TREE_INDEX_H_
#define CRFS_INDEX_TREE_INDEX_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/problem_list.h"
#include "index/tree_object.h"
#include "index/tree_walk.h"

namespace crfs {

class TreeIndex {
 public:
  // Both must outlive it. Gives each object its id, and makes value.number of each TreeFile
  // of kind kLink and kCopy the id of its target. What does not fit is noted.
  TreeIndex(WalkedTree& tree, ProblemList& problems);

  // All objects of a type, each once, in the order of the image.
  const std::vector<TreeObject*>& All(const ObjectType& type) const { return all_[type.index]; }
  // An object without an owner, or nullptr.
  const TreeObject* Find(const ObjectType& type, uint64_t id) const;
  // What an object owns, by its key; or nullptr.
  static const TreeObject* FindChild(const TreeObject& owner, const ObjectType& type, uint64_t key);

  // A directory that holds an object once more.
  struct Copy {
    const TreeObject* original;
    TreeObject* copy;
  };
  const std::vector<Copy>& copies() const { return copies_; }

 private:
  void NameObjects(WalkedTree& tree);
  void NameTasks(std::vector<TreeObject*>& tasks);
  bool Register(TreeObject& object, const Row* says);
  void FindCopies(TreeObject& object);
  void NameCopy(TreeObject& copy);
  void ResolveLinks(TreeObject& object);
  void NumberOwned();

  ProblemList& problems_;
  std::vector<absl::flat_hash_map<uint64_t, TreeObject*>> by_id_;  // by ObjectType::index
  absl::flat_hash_map<uint64_t, TreeObject*> by_pid_;
  std::vector<std::vector<TreeObject*>> all_;  // by ObjectType::index
  std::vector<Copy> copies_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_INDEX_H_
