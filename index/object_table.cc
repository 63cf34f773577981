// SPDX-License-Identifier: Apache-2.0

#include "index/object_table.h"

#include "crfs/schema.h"

namespace crfs {

ObjectTable::ObjectTable() : types_(ObjectTypes().size()) {
  for (const ObjectType& type : ObjectTypes()) {
    TypeTable& table = types_[type.index];
    if (const ObjectType* owner = OwnerOf(type); owner != nullptr) {
      table.owner_row = FindAccess(type, Access::kOwner);
      table.owner_type = owner->index;
    }
    // The checkpoint's reference to the root task stands before its target.
    if (type.tag == CRFS_TAG_checkpoint) continue;
    for (const Row& row : type.rows) {
      if (row.wire != Wire::kRef || row.access == Access::kOwner) continue;
      table.references.push_back({&row, TargetOf(row).index, {}});
    }
  }
}

Rank ObjectTable::Find(const ObjectType& type, uint64_t id) const {
  const auto rank = types_[type.index].ids.Find(id);
  return rank.has_value() ? static_cast<Rank>(*rank) : kNoRank;
}

bool ObjectTable::Add(const ObjectView& object) {
  TypeTable& table = types_[object.type().index];
  if (table.ids.count() >= kNoRank) return false;
  table.ids.Add(object.id());
  auto rank_of = [this, &object](uint16_t target, const Row& row) {
    const uint64_t id = object.Number(row);
    if (id == 0) return kNoRank;
    const auto rank = types_[target].ids.Find(id);
    return rank.has_value() ? static_cast<Rank>(*rank) : kNoRank;
  };
  if (table.owner_row != nullptr) {
    table.owners.push_back(rank_of(table.owner_type, *table.owner_row));
  }
  for (TypeTable::Reference& reference : table.references) {
    reference.ranks.push_back(rank_of(reference.target, *reference.row));
  }
  return true;
}

}  // namespace crfs
