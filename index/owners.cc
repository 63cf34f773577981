// SPDX-License-Identifier: Apache-2.0

#include "index/owners.h"

#include <algorithm>

#include "crfs/schema.h"

namespace crfs {
namespace {

// The fields that decide, found once: Add runs for each object of an image.
struct Fields {
  const ObjectType& checkpoint = *FindType(CRFS_TAG_checkpoint);
  const ObjectType& cred = *FindType(CRFS_TAG_cred);
  const ObjectType& mm = *FindType(CRFS_TAG_mm);
  const ObjectType& task = *FindType(CRFS_TAG_task);
  const ObjectType& thread = *FindType(CRFS_TAG_thread);
  const Row& root = *checkpoint.Find("root");
  const Row& euid = *cred.Find("euid");
  const Row& egid = *cred.Find("egid");
  const Row& dumpable = *mm.Find("dumpable");
  const Row& task_mm = *task.Find("mm");
  const Row& thread_cred = *thread.Find("cred");
};

const Fields& TheFields() {
  static const Fields& fields = *new Fields;
  return fields;
}

// -1 is nobody's id: what belonged to it would be closed to root too.
uint32_t IdOrRoot(uint64_t id) {
  const auto narrow = static_cast<uint32_t>(id);
  return narrow == UINT32_MAX ? 0 : narrow;
}

}  // namespace

void Owners::Add(const ObjectView& object) {
  const Fields& fields = TheFields();
  switch (object.type().tag) {
    case CRFS_TAG_checkpoint:
      root_task_ = object.Number(fields.root);
      break;
    case CRFS_TAG_mm:
      dumpable_.push_back(object.Number(fields.dumpable) == 1);
      break;
    case CRFS_TAG_cred:
      creds_.push_back(
          {IdOrRoot(object.Number(fields.euid)), IdOrRoot(object.Number(fields.egid))});
      break;
    case CRFS_TAG_task: {
      const Rank mm = table_->Find(fields.mm, object.Number(fields.task_mm));
      tasks_.push_back({.pid = static_cast<uint32_t>(object.KeyNumber()),
                        .has_memory = mm != kNoRank,
                        .dumpable = mm != kNoRank && dumpable_[mm],
                        .leader = std::nullopt});
      break;
    }
    case CRFS_TAG_thread: {
      const Rank task = table_->Find(fields.task, object.OwnerId());
      const Rank cred = table_->Find(fields.cred, object.Number(fields.thread_cred));
      if (task == kNoRank || cred == kNoRank) break;
      if (object.KeyNumber() == tasks_[task].pid) tasks_[task].leader = creds_[cred];
      break;
    }
    default:
      break;
  }
}

Owners::Owner Owners::Main() const {
  const Rank root = table_->Find(TheFields().task, root_task_);
  return root == kNoRank ? Owner{} : OwnerOf(tasks_[root], Owner{});
}

Owners::Owner Owners::OwnerOf(const Task& task, Owner main) {
  if (task.has_memory && !task.dumpable) return Owner{};
  if (task.leader.has_value()) return *task.leader;
  return task.has_memory ? Owner{} : main;
}

bool Owners::AllTheSame() const {
  return std::all_of(tasks_.begin(), tasks_.end(),
                     [main = Main()](const Task& task) { return OwnerOf(task, main) == main; });
}

void Owners::Give(Mark* old, Mark mark) {
  if (mark == kNobody) return;
  if (*old == kNobody || *old == mark) {
    *old = mark;
  } else if (*old == kSeveral || mark == kSeveral ||
             owners_[*old - 1].uid != owners_[mark - 1].uid) {
    *old = kSeveral;
  } else {
    *old = MarkFor({owners_[mark - 1].uid, 0});
  }
}

Owners::Mark Owners::MarkFor(Owner owner) {
  auto [it, added] = known_.try_emplace(uint64_t{owner.uid} << 32 | owner.gid, kNobody);
  if (added) {
    owners_.push_back(owner);
    it->second = static_cast<Mark>(owners_.size());
  }
  return it->second;
}

// Marks what the objects of a type refer to, then what they own. The types that refer to
// this one, and its owner, have been done.
void Owners::MarkType(const ObjectType& type) {
  const TypeTable& table = (*table_)[type];
  std::vector<Mark>& marks = marks_[type.index];
  for (size_t rank = 0; rank < table.owners.size(); ++rank) {
    const Rank owner = table.owners[rank];
    if (owner != kNoRank) marks[rank] = marks_[table.owner_type][owner];
  }
  for (const TypeTable::Reference& reference : table.references) {
    std::vector<Mark>& targets = marks_[reference.target];
    for (size_t rank = 0; rank < marks.size(); ++rank) {
      const Rank target = reference.ranks[rank];
      if (target != kNoRank) Give(&targets[target], marks[rank]);
    }
  }
  for (const ObjectType& child : ObjectTypes()) {
    if (child.owner == type.name) MarkType(child);
  }
}

absl::Status Owners::ForEachOther(
    absl::FunctionRef<absl::Status(const ObjectType&, uint64_t, Owner)> visit) {
  for (const ObjectType& type : ObjectTypes()) {
    marks_.emplace_back((*table_)[type].ids.count(), kNobody);
  }

  std::vector<Mark>& tasks = marks_[TheFields().task.index];
  const Owner main = Main();
  for (size_t rank = 0; rank < tasks_.size(); ++rank) {
    tasks[rank] = MarkFor(OwnerOf(tasks_[rank], main));
  }

  // Who refers has a higher tag than what it refers to, but for what is owned: it comes
  // with its owner. The checkpoint's reference to its root task gives nothing.
  const auto types = ObjectTypes();
  for (auto type = types.rbegin(); type != types.rend(); ++type) {
    if (!type->owner.empty() || type->tag == CRFS_TAG_checkpoint) continue;
    MarkType(*type);
  }

  absl::Status result;
  for (const ObjectType& type : types) {
    if (type.tag == CRFS_TAG_checkpoint) continue;
    (*table_)[type].ids.ForEach([&](uint64_t rank, uint64_t id) {
      const Mark mark = marks_[type.index][rank];
      const Owner owner = mark == kNobody || mark == kSeveral ? Owner{} : owners_[mark - 1];
      if (result.ok() && !(owner == main)) result = visit(type, id, owner);
    });
  }
  return result;
}

}  // namespace crfs
