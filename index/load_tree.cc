// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/image_checker.h"
#include "index/image_place.h"
#include "index/loaded_state.h"
#include "index/problem_list.h"
#include "index/tree_copies.h"
#include "index/tree_index.h"
#include "index/tree_rules.h"
#include "index/tree_walk.h"

namespace crfs {
namespace {

using Kind = TreeFile::Kind;

// Of a tree without problems.
class TreeLoader {
 public:
  TreeLoader(const TreeIndex& index, LoadedCheckpoint::State* state, ProblemList& problems)
      : index_(index), state_(state), problems_(problems) {}

  void Load() {
    for (const ObjectType& type : ObjectTypes()) {
      for (const TreeObject* object : index_.All(type)) AddObject(*object);
    }
    if (is_whole_) Recheck(checker_.EndObjects(), "");
    for (const ObjectType& type : ObjectTypes()) {
      if (type.Find("pages") == nullptr) continue;
      for (const TreeObject* object : index_.All(type)) AddMemory(*object);
    }
  }

 private:
  void AddObject(const TreeObject& object) {
    const ObjectType& type = *object.type;
    ObjectBuilder builder(type);
    for (const Row& row : type.rows) {
      const TreeFile& file = object.file(row);
      if (row.wire == Wire::kNone || file.kind == Kind::kMissing) continue;
      if (file.kind == Kind::kInherit) {
        state_->inherited.push_back({object.id, static_cast<int>(file.value.number)});
      } else if (row.wire == Wire::kBytes) {
        builder.SetBytes(row, file.value.bytes);
      } else {
        builder.SetNumber(row, file.value.number);
      }
    }
    SetName(object, builder);
    absl::StatusOr<std::string> body = builder.Build();
    absl::Status status = body.status();
    if (status.ok()) status = state_->Add(type, object.id, *std::move(body));
    if (status.ok()) Place(object, state_->objects[type.index].views.back());
    // The rules have been told in terms of files; this is so that none can be forgotten.
    if (status.ok() && is_whole_)
      status = checker_.Object(state_->objects[type.index].views.back());
    Recheck(status, object.path);
  }

  void Place(const TreeObject& object, const ObjectView& view) {
    if (is_whole_ && state_->PathOf(view) != object.path) {
      state_->places[{object.type->tag, object.id}] = object.path;
    }
  }

  static void SetName(const TreeObject& object, ObjectBuilder& builder) {
    const ObjectType& type = *object.type;
    if (object.owner != nullptr) {
      builder.SetNumber(*FindAccess(type, Access::kOwner), object.owner->id);
    }
    if (type.key == Key::kId || type.key == Key::kSingle) return;
    builder.SetNumber(*FindAccess(type, Access::kKey), object.name->key);
    if (type.key == Key::kRange) builder.SetNumber("end", object.name->end);
  }

  void AddMemory(const TreeObject& object) {
    if (object.memory.extents.empty()) return;
    SavedMemory& saved = state_->memory[{object.type->tag, object.id}];
    saved.file = object.PathOf(*object.type->Find("pages"));
    saved.file_size = object.memory.file_size;
    const std::span<const crfs_extent> all(object.memory.extents);
    for (size_t i = 0; i < all.size() && is_whole_; i += CRFS_EXTENTS_MAX) {
      const auto part = all.subspan(i, std::min<size_t>(CRFS_EXTENTS_MAX, all.size() - i));
      Recheck(checker_.Extents(object.type->tag, object.id, part), saved.file);
    }
    for (const crfs_extent& extent : object.memory.extents) {
      saved.extents.push_back({extent.offset, extent.length, extent.offset});
      state_->memory_size += extent.length;
    }
    if (object.memory.image.has_value()) FindInImage(*object.type, *object.memory.image, saved);
  }

  void FindInImage(const ObjectType& type, const ImagePlace& place, SavedMemory& saved) {
    std::shared_ptr<const LoadedCheckpoint> image = ImageOf(place);
    if (image == nullptr) return;
    const auto& memory = image->state().memory;
    const auto found = memory.find({type.tag, place.id});
    if (found == memory.end()) return;
    saved.parts = PartByPlace(saved.extents, found->second.extents, place.changed);
    saved.image = std::move(image);
  }

  // nullptr: it cannot be read, or is another than the one that was mounted. All of it can be
  // had through the mount.
  std::shared_ptr<const LoadedCheckpoint> ImageOf(const ImagePlace& place) {
    const auto [at, is_new] = images_.try_emplace({place.path, place.state});
    if (is_new) {
      absl::StatusOr<LoadedCheckpoint> image = LoadedCheckpoint::FromImage(place.path);
      if (image.ok() && StateOfFile(image->state().fd.get()) == place.state) {
        at->second = std::make_shared<const LoadedCheckpoint>(*std::move(image));
      }
    }
    return at->second;
  }

  void Recheck(const absl::Status& status, const std::string& path) {
    if (status.ok()) return;
    problems_.Add(path, status.message(), ": mend it, or delete it");
    is_whole_ = false;
  }

  const TreeIndex& index_;
  LoadedCheckpoint::State* state_;
  ProblemList& problems_;
  ImageChecker checker_;
  bool is_whole_ = true;  // no object is missing so far
  // By path and state.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const LoadedCheckpoint>> images_;
};

}  // namespace

absl::StatusOr<LoadedCheckpoint> LoadedCheckpoint::FromTree(const std::string& directory,
                                                            Problems& problems) {
  auto state = std::make_unique<State>(directory);
  state->fd.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!state->fd.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot open"));
  }
  ProblemList list(state->path);
  absl::StatusOr<WalkedTree> tree = WalkTree(state->fd.get(), list);
  if (!tree.ok()) {
    return absl::Status(tree.status().code(),
                        absl::StrCat(directory, ": ", tree.status().message()));
  }
  for (const std::string& path : tree->leftovers) state->leftovers.push_back(list.Whole(path));
  const TreeIndex index(*tree, list);
  CompareCopies(state->fd.get(), index, list);
  CheckTree(index, list);
  if (list.empty()) TreeLoader(index, state.get(), list).Load();
  for (std::string& problem : list.Take()) problems.push_back(std::move(problem));
  return LoadedCheckpoint(std::move(state));
}

}  // namespace crfs
