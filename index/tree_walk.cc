// SPDX-License-Identifier: Apache-2.0

#include "index/tree_walk.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "index/mutex.h"
#include "index/open_below.h"
#include "index/shape.h"
#include "index/tree_directory.h"
#include "index/tree_parser.h"

namespace crfs {
namespace {

constexpr char kViews[] = ".views";

// Threads that take objects whose directories are to be read, until there are none and none
// can come.
class Walk {
 public:
  Walk(int root, ProblemList& problems) : context_(root, problems) {}

  absl::StatusOr<WalkedTree> Run() {
    const auto entries = ListDirectory(context_.root);
    if (!entries.ok()) return entries.status();
    for (const DirectoryEntry& entry : *entries) {
      if (entry.name != kViews) ListEntry(RootShape().nodes()[0], entry, entry.name);
    }
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 2U, 8U);
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < count; ++i) others.emplace_back([this] { Work(); });
    Work();
    others.clear();  // joins
    const MutexLock lock(&context_.mutex);
    std::sort(context_.leftovers.begin(), context_.leftovers.end());
    tree_.leftovers = std::move(context_.leftovers);
    return std::move(tree_);
  }

 private:
  // An entry of the fixed folder `node`.
  void ListEntry(const ShapeNode& node, const DirectoryEntry& entry, const std::string& path) {
    const ShapeNode* known = RootShape().Find(node, entry.name);
    if (known == nullptr) {
      if (auto object = ParseFolderEntry(context_, node.types, entry, path); object != nullptr) {
        const MutexLock lock(&mutex_);
        waiting_.push_back(object.get());
        tree_.objects.push_back(std::move(object));
      }
      return;
    }
    const auto folder = OpenDirectoryBelow(context_.root, path);
    const auto entries = folder.ok() ? ListDirectory(folder->get())
                                     : absl::StatusOr<std::vector<DirectoryEntry>>(folder.status());
    if (!entries.ok()) return context_.problems.Add(path, entries.status().message());
    for (const DirectoryEntry& below : *entries) {
      ListEntry(*known, below, absl::StrCat(path, "/", below.name));
    }
  }

  void Work() {
    std::vector<TreeObject*> found;
    for (;;) {
      TreeObject* object;
      {
        const MutexLock lock(&mutex_);
        while (waiting_.empty() && busy_ > 0) mutex_.Wait();
        if (waiting_.empty()) return;
        object = waiting_.back();
        waiting_.pop_back();
        ++busy_;
      }
      found.clear();
      ParseTreeObject(context_, *object, found);
      const MutexLock lock(&mutex_);
      --busy_;
      waiting_.insert(waiting_.end(), found.begin(), found.end());
      if (!found.empty() || busy_ == 0) mutex_.Signal();
    }
  }

  WalkContext context_;
  WalkedTree tree_;
  Mutex mutex_;
  std::vector<TreeObject*> waiting_ ABSL_GUARDED_BY(mutex_);
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;  // threads that may still find some
};

}  // namespace

absl::StatusOr<WalkedTree> WalkTree(int root, ProblemList& problems) {
  return Walk(root, problems).Run();
}

}  // namespace crfs
