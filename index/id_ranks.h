// SPDX-License-Identifier: Apache-2.0
//
// Where an id stands among the ids of its type, so that facts about objects can be kept in
// plain arrays. Ids are nearly always 1 to N, which takes one run. Not for use by several
// threads at once while ids are added.

#ifndef CRFS_INDEX_ID_RANKS_H_
#define CRFS_INDEX_ID_RANKS_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace crfs {

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

}  // namespace crfs

#endif  // CRFS_INDEX_ID_RANKS_H_
