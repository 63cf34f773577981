// SPDX-License-Identifier: Apache-2.0
//
// The objects of an image and their references, as numbers alone: what stays in memory while
// an index is built. Not for use by several threads at once.

#ifndef CRFS_INDEX_OBJECT_TABLE_H_
#define CRFS_INDEX_OBJECT_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "index/record.h"
#include "index/schema.h"

namespace crfs {

// Where an id stands among the ids of its type, so that facts about objects can be kept in
// plain arrays. Ids are nearly always 1 to N, which takes one run.
class IdRanks {
 public:
  // Ids must ascend.
  void Add(uint64_t id) {
    if (runs_.empty() || id != runs_.back().id + (count_ - runs_.back().rank)) {
      runs_.push_back({id, count_});
    }
    ++count_;
  }
  uint64_t count() const { return count_; }

  std::optional<uint64_t> Find(uint64_t id) const {
    auto run = std::upper_bound(runs_.begin(), runs_.end(), id,
                                [](uint64_t wanted, const Run& each) { return wanted < each.id; });
    if (run == runs_.begin()) return std::nullopt;
    const uint64_t end = run == runs_.end() ? count_ : run->rank;
    --run;
    const uint64_t rank = run->rank + (id - run->id);
    if (rank >= end) return std::nullopt;
    return rank;
  }

  // Calls visit(rank, id) for each, in order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t i = 0; i < runs_.size(); ++i) {
      const uint64_t end = i + 1 < runs_.size() ? runs_[i + 1].rank : count_;
      for (uint64_t rank = runs_[i].rank; rank < end; ++rank) {
        visit(rank, runs_[i].id + (rank - runs_[i].rank));
      }
    }
  }

 private:
  struct Run {
    uint64_t id;    // of its first
    uint64_t rank;  // likewise
  };
  std::vector<Run> runs_;
  uint64_t count_ = 0;
};

// A rank, or none.
using Rank = uint32_t;
inline constexpr Rank kNoRank = UINT32_MAX;

// The objects of one type.
struct TypeTable {
  struct Reference {
    const Row* row;
    uint16_t target;          // ObjectType::index
    std::vector<Rank> ranks;  // of the targets, by rank of the object
  };
  IdRanks ids;
  const Row* owner_row = nullptr;
  uint16_t owner_type = 0;   // ObjectType::index
  std::vector<Rank> owners;  // by rank, if the type has an owner
  std::vector<Reference> references;
};

// By ObjectType::index. Memory: 4 bytes for each reference and owner.
class ObjectTable {
 public:
  ObjectTable();
  // All objects of an image in its order. False if there are too many of one type.
  bool Add(const ObjectView& object);

  const TypeTable& operator[](const ObjectType& type) const { return types_[type.index]; }
  const TypeTable& operator[](size_t index) const { return types_[index]; }
  // The rank of an object, or kNoRank.
  Rank Find(const ObjectType& type, uint64_t id) const;

 private:
  std::vector<TypeTable> types_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_OBJECT_TABLE_H_
