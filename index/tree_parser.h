// SPDX-License-Identifier: Apache-2.0
//
// Reads the directory of one object. For index/tree_walk.cc alone.

#ifndef CRFS_INDEX_TREE_PARSER_H_
#define CRFS_INDEX_TREE_PARSER_H_

#include <string>
#include <vector>

#include "index/problem_list.h"
#include "index/shape.h"
#include "index/tree_directory.h"
#include "index/tree_object.h"

namespace crfs {

// What all of a walk's threads share. Any thread.
struct WalkContext {
  WalkContext(int r, ProblemList& p) : root(r), mount(FindCrfsMount(r)), problems(p) {}

  void AddLeftover(std::string path) {
    const MutexLock lock(&mutex);
    if (leftovers.size() < kLeftoversMax) leftovers.push_back(std::move(path));
  }

  static constexpr size_t kLeftoversMax = 1000;
  const int root;         // descriptor of the tree's directory
  const CrfsMount mount;  // whether the tree is one
  ProblemList& problems;
  Mutex mutex;
  std::vector<std::string> leftovers ABSL_GUARDED_BY(mutex);
};

// Fills `object` from its directory, and makes its children and copies, whose directories are
// still to be read: they are added to `found`.
void ParseTreeObject(WalkContext& context, TreeObject& object, std::vector<TreeObject*>& found);

// An entry of a folder of objects that may be one of them: the object, or nullptr if the
// entry is none, which has then been noted.
std::unique_ptr<TreeObject> ParseFolderEntry(WalkContext& context,
                                             const std::vector<const ObjectType*>& types,
                                             const DirectoryEntry& entry, const std::string& path);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_PARSER_H_
