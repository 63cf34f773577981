// SPDX-License-Identifier: Apache-2.0

#include "index/tree_index.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

using Kind = TreeFile::Kind;

bool IsTask(const ObjectType& type) { return type.tag == CRFS_TAG_task; }

// The id that its file `id` says, or 0.
uint64_t SaidId(const TreeObject& object) {
  const Row* row = object.type->Find("id");
  return row != nullptr && object.file(*row).kind == Kind::kValue ? object.Number("id") : 0;
}

bool IsId(uint64_t id) { return id >= 1 && id <= CRFS_ID_MAX; }

uint64_t KeyOf(const TreeObject& object) { return object.name.has_value() ? object.name->key : 0; }

}  // namespace

TreeIndex::TreeIndex(WalkedTree& tree, ProblemList& problems)
    : problems_(problems), by_id_(ObjectTypes().size()), all_(ObjectTypes().size()) {
  NameObjects(tree);
  // Of the objects in their places: a copy of what has no other place is added to all_.
  for (const auto& object : tree.objects) FindCopies(*object);
  for (auto& objects : all_) {
    std::ranges::sort(objects, {}, &TreeObject::id);
    for (TreeObject* object : objects) ResolveLinks(*object);
  }
  for (const Copy& copy : copies_) ResolveLinks(*copy.copy);
  NumberOwned();
}

const TreeObject* TreeIndex::Find(const ObjectType& type, uint64_t id) const {
  const auto found = by_id_[type.index].find(id);
  return found == by_id_[type.index].end() ? nullptr : found->second;
}

const TreeObject* TreeIndex::FindChild(const TreeObject& owner, const ObjectType& type,
                                       uint64_t key) {
  const std::pair wanted(type.index, key);
  const auto found = std::ranges::lower_bound(owner.children, wanted, {},
                                              [](const std::unique_ptr<TreeObject>& child) {
                                                return std::pair(child->type->index, KeyOf(*child));
                                              });
  if (found == owner.children.end() || (*found)->type != &type || KeyOf(**found) != key) {
    return nullptr;
  }
  return found->get();
}

// ---- objects in their places ----------------------------------------------------------------

void TreeIndex::NameObjects(WalkedTree& tree) {
  std::ranges::sort(tree.objects, {}, [](const std::unique_ptr<TreeObject>& object) {
    return std::pair(object->type->index, KeyOf(*object));
  });
  std::vector<TreeObject*> tasks;
  for (const auto& object : tree.objects) {
    const ObjectType& type = *object->type;
    if (IsTask(type)) {
      tasks.push_back(object.get());
      continue;
    }
    object->id = type.key == Key::kSingle ? 1 : object->name->key;
    Register(*object, nullptr);
    const uint64_t said = SaidId(*object);
    if (said != 0 && said != object->id) {
      problems_.Add(object->PathOf(*type.Find("id")), "says ", said, ", but ",
                    problems_.Whole(object->path), " is named ", object->id,
                    ": delete the file, or rename the directory");
    }
  }
  NameTasks(tasks);
}

// Tasks that do not say their id come after those that do.
void TreeIndex::NameTasks(std::vector<TreeObject*>& tasks) {
  uint64_t last = 0;
  for (TreeObject* task : tasks) {
    by_pid_[KeyOf(*task)] = task;
    task->id = SaidId(*task);
    if (task->id == 0) continue;
    if (Register(*task, task->type->Find("id"))) last = std::max(last, task->id);
  }
  for (TreeObject* task : tasks) {
    if (task->id != 0) continue;
    task->id = ++last;
    Register(*task, nullptr);
  }
}

// `says` is the file that its id is from; nullptr: its name.
bool TreeIndex::Register(TreeObject& object, const Row* says) {
  const std::string path = says == nullptr ? object.path : object.PathOf(*says);
  if (!IsId(object.id)) {
    problems_.Add(path, object.id, " is no id: ids are 1 to ", CRFS_ID_MAX);
    return false;
  }
  const auto [found, added] = by_id_[object.type->index].try_emplace(object.id, &object);
  if (!added) {
    problems_.Add(path, "says ", object.id, ", and so does ", problems_.Whole(found->second->path),
                  "/id: delete one of the two files");
    return false;
  }
  all_[object.type->index].push_back(&object);
  return true;
}

// ---- copies in place of links -----------------------------------------------------------------

void TreeIndex::FindCopies(TreeObject& object) {
  for (TreeFile& file : object.files) {
    if (file.kind != Kind::kCopy) continue;
    NameCopy(*file.copy);
    if (file.copy->id == 0) file.kind = Kind::kWrong;
  }
  for (const auto& child : object.children) FindCopies(*child);
}

void TreeIndex::NameCopy(TreeObject& copy) {
  copy.id = SaidId(copy);
  if (!IsId(copy.id)) {
    const Row& row = *copy.type->Find("id");
    if (copy.file(row).kind == Kind::kMissing) {
      problems_.Add(copy.path, "is a directory in place of a link and has no file `id`, so it is ",
                    "any ", copy.type->name, ": make it a link to ", copy.type->place, "/ID");
    } else if (copy.file(row).kind == Kind::kValue) {
      problems_.Add(copy.PathOf(row), copy.id, " is no id: ids are 1 to ", CRFS_ID_MAX);
    }
    copy.id = 0;
  } else if (const TreeObject* original = Find(*copy.type, copy.id); original != nullptr) {
    copies_.push_back({original, &copy});
  } else if (IsTask(*copy.type)) {
    problems_.Add(copy.path, "is a copy of a task that is not in ",
                  problems_.Whole(copy.type->place), ": copy that folder too");
  } else {
    Register(copy, copy.type->Find("id"));
  }
  FindCopies(copy);
}

// ---- references ---------------------------------------------------------------------------------

void TreeIndex::ResolveLinks(TreeObject& object) {
  for (const Row& row : object.type->rows) {
    TreeFile& file = object.file(row);
    if (file.kind == Kind::kCopy) {
      file.value.number = file.copy->id;
      continue;
    }
    if (file.kind != Kind::kLink) continue;
    const ObjectType& type = TargetOf(*ShownRow(*object.type, row));
    const TreeObject* target = nullptr;
    if (IsTask(type)) {
      const auto found = by_pid_.find(file.value.number);
      if (found != by_pid_.end()) target = found->second;
    } else {
      target = Find(type, file.value.number);
    }
    if (target == nullptr) {
      problems_.Add(object.PathOf(row), "is a link to nothing: there is no ", type.place, "/",
                    file.value.number, ": link to another, or delete it");
      file.kind = Kind::kWrong;
    } else {
      file.value.number = target->id;
    }
  }
  for (const auto& child : object.children) ResolveLinks(*child);
}

// ---- what has an owner --------------------------------------------------------------------------

void TreeIndex::NumberOwned() {
  for (const ObjectType& type : ObjectTypes()) {
    const ObjectType* owner_type = OwnerOf(type);
    if (owner_type == nullptr) continue;
    std::vector<TreeObject*>& objects = all_[type.index];
    for (const TreeObject* owner : all_[owner_type->index]) {
      for (const auto& child : owner->children) {
        if (child->type == &type) objects.push_back(child.get());
      }
    }
    for (size_t i = 0; i < objects.size(); ++i) objects[i]->id = i + 1;
  }
}

}  // namespace crfs
