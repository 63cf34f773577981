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

}  // namespace

Owners::Owners(const std::vector<TypeRange>* types) : types_(types) {}

void Owners::Add(const ObjectView& object) {
  const Fields& fields = TheFields();
  auto ranks = [this](const ObjectType& type) -> const IdRanks& {
    return (*types_)[type.index].ids;
  };
  switch (object.type().tag) {
    case CRFS_TAG_checkpoint:
      root_task_ = object.Number(fields.root);
      break;
    case CRFS_TAG_mm:
      dumpable_.push_back(object.Number(fields.dumpable) == 1);
      break;
    case CRFS_TAG_cred:
      creds_.push_back({static_cast<uint32_t>(object.Number(fields.euid)),
                        static_cast<uint32_t>(object.Number(fields.egid))});
      break;
    case CRFS_TAG_task: {
      const auto mm = ranks(fields.mm).Find(object.Number(fields.task_mm));
      tasks_.push_back({.pid = static_cast<uint32_t>(object.KeyNumber()),
                        .has_memory = mm.has_value(),
                        .dumpable = mm.has_value() && dumpable_[*mm],
                        .leader = std::nullopt});
      break;
    }
    case CRFS_TAG_thread: {
      const auto rank = ranks(fields.task).Find(object.OwnerId());
      const auto cred = ranks(fields.cred).Find(object.Number(fields.thread_cred));
      if (!rank.has_value() || !cred.has_value()) break;
      Task& task = tasks_[*rank];
      if (object.KeyNumber() == task.pid) task.leader = creds_[*cred];
      break;
    }
    default:
      break;
  }
}

Owners::Owner Owners::Main() const {
  const auto rank = (*types_)[TheFields().task.index].ids.Find(root_task_);
  return rank.has_value() ? OwnerOf(tasks_[*rank], Owner{}) : Owner{};
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

Owners::Mark* Owners::MarkOf(const ObjectType& type, uint64_t id) {
  const auto rank = (*types_)[type.index].ids.Find(id);
  return rank.has_value() ? &marks_[type.index][*rank] : nullptr;
}

void Owners::Give(const ObjectType& type, uint64_t id, Mark mark) {
  Mark* old = MarkOf(type, id);
  if (old == nullptr || mark == kNobody) return;
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
absl::Status Owners::MarkType(const ImageFile& image, const ObjectType& type) {
  struct Reference {
    const Row* row;
    const ObjectType* target;
  };
  std::vector<Reference> references;
  for (const Row& row : type.rows) {
    if (row.wire != Wire::kRef || row.access == Access::kOwner) continue;
    references.push_back({&row, &TargetOf(row)});
  }
  const ObjectType* owner = crfs::OwnerOf(type);
  absl::Status status;
  const TypeRange& range = (*types_)[type.index];
  // Without either, all has been said by those that refer to it.
  if (owner != nullptr || !references.empty()) {
    status = image.ScanObjects(range.begin, range.end, [&](const ObjectView& object) {
      Mark* mark = MarkOf(type, object.id());
      if (mark == nullptr) return absl::OkStatus();
      if (owner != nullptr) {
        const Mark* of_owner = MarkOf(*owner, object.OwnerId());
        if (of_owner != nullptr) *mark = *of_owner;
      }
      for (const auto& [row, target] : references) Give(*target, object.Number(*row), *mark);
      return absl::OkStatus();
    });
  }
  for (const ObjectType& child : ObjectTypes()) {
    if (status.ok() && child.owner == type.name) status = MarkType(image, child);
  }
  return status;
}

absl::Status Owners::ForEachOther(
    const ImageFile& image,
    absl::FunctionRef<absl::Status(const ObjectType&, uint64_t, Owner)> visit) {
  for (const TypeRange& range : *types_) marks_.emplace_back(range.ids.count(), kNobody);

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
    if (auto status = MarkType(image, *type); !status.ok()) return status;
  }

  absl::Status result;
  for (const ObjectType& type : types) {
    if (type.tag == CRFS_TAG_checkpoint) continue;
    (*types_)[type.index].ids.ForEach([&](uint64_t rank, uint64_t id) {
      const Mark mark = marks_[type.index][rank];
      const Owner owner = mark == kNobody || mark == kSeveral ? Owner{} : owners_[mark - 1];
      if (result.ok() && !(owner == main)) result = visit(type, id, owner);
    });
  }
  return result;
}

}  // namespace crfs
