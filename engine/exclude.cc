// SPDX-License-Identifier: Apache-2.0

#include "engine/exclude.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/exclude_marks.h"
#include "index/ranges.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = kRangesPageSize;
constexpr uint64_t kWrite = 2, kShared = 8;  // of the codec perm

uint64_t RoundUp(uint64_t bytes) { return bytes / kPage * kPage + (bytes % kPage != 0) * kPage; }

// What /proc/PID/maps shows at the end of its line.
std::string NameOf(const Snapshot& snapshot, const ObjectView& vma) {
  if (const uint64_t id = vma.Number("file"); id != 0) {
    return std::string(snapshot.Get("file", id).Bytes("path"));
  }
  if (vma.Number("kind") == CRFS_vma_kind_heap) return "[heap]";
  if (!vma.Bytes("name").empty()) return absl::StrCat("[anon:", vma.Bytes("name"), "]");
  const uint64_t id = vma.Number("shmem");
  return id == 0 ? "" : std::string(snapshot.Get("shmem", id).Bytes("name"));
}

// How much of a mapping, from its start, can be left out and come back as zeros; 0: nothing. What
// it would show of a file has to be written over, which stands behind the pages of the file alone.
uint64_t RoomOf(const Snapshot& snapshot, const ObjectView& vma) {
  const uint64_t prot = vma.Number("prot");
  const uint64_t length = vma.Number("end") - vma.Number("start");
  if ((prot & kShared) != 0) return 0;
  switch (vma.Number("kind")) {
    case CRFS_vma_kind_anon:
    case CRFS_vma_kind_heap:
    case CRFS_vma_kind_stack:
      return length;
    case CRFS_vma_kind_file:
    case CRFS_vma_kind_shmem:
      break;
    default:
      return 0;  // the kernel's own
  }
  const uint64_t file = vma.Number("file"), shmem = vma.Number("shmem");
  if ((prot & kWrite) == 0 || (file == 0 && shmem == 0)) return 0;
  if (file != 0 && snapshot.Get("file", file).Number("kind") != CRFS_file_kind_regular) return 0;
  const ObjectView backing = file != 0 ? snapshot.Get("file", file) : snapshot.Get("shmem", shmem);
  const uint64_t size = RoundUp(backing.Number("size"));
  return std::min(length, size - std::min(size, vma.Number("offset")));
}

class Excluder {
 public:
  // A program may have made many marks, and has many mappings: each is found by itself.
  Excluder(const Exclusions& exclusions, Snapshot& snapshot)
      : exclusions_(exclusions), snapshot_(snapshot) {
    snapshot.ForEach("fd", [&](const ObjectView& fd) {
      descriptors_[{fd.Number("fdtable"), fd.Number("fd")}] = fd.id();
    });
    snapshot.ForEach("vma", [&](const ObjectView& vma) {
      mappings_[{vma.Number("mm"), vma.Number("end")}] = vma.id();
    });
    snapshot.ForEach("task", [&](const ObjectView& task) {
      tables_[task.Number("mm")].insert(task.Number("fd"));
    });
  }

  absl::Status Find(const OpenMemory& open) {
    const absl::StatusOr<std::vector<FoundMark>> marks = FindMarks(open, snapshot_);
    if (!marks.ok()) return marks.status();
    AddMarks(*marks);
    if (exclusions_.dontdump) AddDontdump();
    for (const Exclusion& exclusion : exclusions_.named) {
      const absl::Status status = AddNamed(exclusion);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Apply() {
    for (const uint64_t id : fds_) {
      ObjectBuilder fd(snapshot_.Get("fd", id));
      fd.SetNumber("excluded", 1);
      if (absl::Status status = snapshot_.Replace(id, fd); !status.ok()) return status;
    }
    for (auto& [id, ranges] : ranges_) {
      ranges = MergeRanges(std::move(ranges));
      ObjectBuilder vma(snapshot_.Get("vma", id));
      vma.SetBytes("excluded", PackRanges(ranges));
      if (absl::Status status = snapshot_.Replace(id, vma); !status.ok()) return status;
    }
    TakeMemoryOut();
    return absl::OkStatus();
  }

 private:
  enum class Found { kNothing, kUnfit, kSomething };

  // ---- descriptors ----------------------------------------------------------------------------

  Found AddDescriptor(uint64_t table, uint64_t number) {
    const auto found = descriptors_.find({table, number});
    if (found == descriptors_.end()) return Found::kNothing;
    fds_.insert(found->second);
    return Found::kSomething;
  }

  // ---- memory ---------------------------------------------------------------------------------

  // What of a mapping lies from `begin` up to `end`.
  Found AddPart(const ObjectView& vma, uint64_t begin, uint64_t end) {
    const uint64_t start = vma.Number("start");
    begin = std::max(begin, start);
    end = std::min(end, vma.Number("end"));
    if (begin >= end) return Found::kNothing;
    end = std::min(end, start + RoomOf(snapshot_, vma));
    if (begin >= end) return Found::kUnfit;
    ranges_[vma.id()].push_back({.offset = begin - start, .length = end - begin});
    return Found::kSomething;
  }

  // Calls `add` for the mappings of an mm that end beyond `begin`, up to the first that begins at
  // `end` or after it.
  template <typename Add>
  Found AddMappings(uint64_t mm, uint64_t begin, uint64_t end, const Add& add) {
    Found found = Found::kNothing;
    for (auto each = mappings_.upper_bound({mm, begin});
         each != mappings_.end() && each->first.first == mm; ++each) {
      const ObjectView vma = snapshot_.Get("vma", each->second);
      if (vma.Number("start") >= end) break;
      found = std::max(found, add(vma));
    }
    return found;
  }

  Found AddRange(uint64_t mm, uint64_t begin, uint64_t end) {
    return AddMappings(mm, begin, end,
                       [&](const ObjectView& vma) { return AddPart(vma, begin, end); });
  }

  Found AddName(uint64_t mm, const std::string& name) {
    return AddMappings(mm, 0, UINT64_MAX, [&](const ObjectView& vma) {
      const bool is_named = absl::StrReplaceAll(NameOf(snapshot_, vma), {{"\n", "\\012"}}) == name;
      return is_named ? AddPart(vma, 0, UINT64_MAX) : Found::kNothing;
    });
  }

  // The stack may be marked, too, but no program goes on without all of it.
  void AddDontdump() {
    snapshot_.ForEach("vma", [&](const ObjectView& vma) {
      const bool marked = (vma.Number("flags") >> CRFS_vma_flags_dd & 1) != 0;
      if (marked && vma.Number("kind") != CRFS_vma_kind_stack) AddPart(vma, 0, UINT64_MAX);
    });
  }

  // ---- who says so ----------------------------------------------------------------------------

  // A mark that fits nothing any more counts for nothing: its program has gone on without it.
  void AddMarks(const std::vector<FoundMark>& marks) {
    // Merged first, so that many marks of the same memory are no more work than one.
    std::map<uint64_t, std::vector<crfs_extent>> memory;  // by mm
    for (const auto& [mm, mark] : marks) {
      if (mark.kind == CRFS_EXCLUDE_FD) {
        for (const uint64_t table : tables_[mm]) AddDescriptor(table, mark.start);
        continue;
      }
      const uint64_t begin = RoundUp(mark.start);
      const uint64_t end = (mark.start + mark.length) / kPage * kPage;
      if (begin >= mark.start && begin < end) memory[mm].push_back({begin, end - begin});
    }
    for (auto& [mm, ranges] : memory) {
      for (const auto& [offset, length] : MergeRanges(std::move(ranges))) {
        AddRange(mm, offset, offset + length);
      }
    }
  }

  absl::Status AddNamed(const Exclusion& exclusion) {
    Found found = Found::kNothing;
    snapshot_.ForEach("task", [&](const ObjectView& task) {
      const auto pid = static_cast<pid_t>(task.Number("pid"));
      if (exclusion.pid == 0 || exclusion.pid == pid) {
        found = std::max(found, AddInTask(exclusion, task));
      }
    });
    if (found == Found::kSomething || exclusions_.lenient) return absl::OkStatus();
    const std::string option = absl::StrCat("--exclude ", exclusion.text, ": ");
    if (found == Found::kUnfit) {
      return absl::NotFoundError(
          absl::StrCat(option, "is memory that cannot be left out, as it is shared, or of a file ",
                       "that it is not written to: leave this option out"));
    }
    const bool is_fd = exclusion.kind == Exclusion::Kind::kDescriptor;
    const std::string pid = exclusion.pid == 0 ? "PID" : absl::StrCat(exclusion.pid);
    return absl::NotFoundError(absl::StrCat(
        option, "there is no such ", is_fd ? "descriptor" : "memory", " in the ",
        exclusion.pid == 0 ? "program" : "task", ": see /proc/", pid, is_fd ? "/fd" : "/maps"));
  }

  Found AddInTask(const Exclusion& exclusion, const ObjectView& task) {
    switch (exclusion.kind) {
      case Exclusion::Kind::kDescriptor:
        return AddDescriptor(task.Number("fd"), static_cast<uint64_t>(exclusion.fd));
      case Exclusion::Kind::kName:
        return AddName(task.Number("mm"), exclusion.name);
      case Exclusion::Kind::kRange:
        return AddRange(task.Number("mm"), exclusion.begin, exclusion.end);
    }
    return Found::kNothing;
  }

  // ---- the table of saved memory --------------------------------------------------------------

  // Shared memory that only descriptors lead to which are left out.
  std::set<uint64_t> UnusedShmems() const {
    std::set<uint64_t> used, unused;
    snapshot_.ForEach("vma", [&](const ObjectView& vma) { used.insert(vma.Number("shmem")); });
    snapshot_.ForEach("fd", [&](const ObjectView& fd) {
      if (fd.Number("file") == 0) return;
      const uint64_t shmem = snapshot_.Get("file", fd.Number("file")).Number("shmem");
      (fds_.contains(fd.id()) ? unused : used).insert(shmem);
    });
    for (const uint64_t id : used) unused.erase(id);
    return unused;
  }

  void TakeMemoryOut() {
    const std::set<uint64_t> unused = UnusedShmems();
    std::vector<OwnedExtent> kept;
    for (const OwnedExtent& owned : snapshot_.extents()) {
      const auto found =
          owned.owner_type == CRFS_TAG_vma ? ranges_.find(owned.owner_id) : ranges_.end();
      if (owned.owner_type == CRFS_TAG_shmem && unused.contains(owned.owner_id)) continue;
      if (found == ranges_.end()) {
        kept.push_back(owned);
        continue;
      }
      for (const crfs_extent& left : SubtractRanges(std::span(&owned.extent, 1), found->second)) {
        kept.push_back({owned.owner_type, owned.owner_id, left});
      }
    }
    snapshot_.extents() = std::move(kept);
  }

  const Exclusions& exclusions_;
  Snapshot& snapshot_;
  using Key = std::pair<uint64_t, uint64_t>;
  std::map<Key, uint64_t> descriptors_;                  // ids, by table and number
  std::map<Key, uint64_t> mappings_;                     // ids, by mm and end
  std::map<uint64_t, std::set<uint64_t>> tables_;        // of descriptors, by mm
  std::set<uint64_t> fds_;                               // ids
  std::map<uint64_t, std::vector<crfs_extent>> ranges_;  // by id of the vma, from its start
};

}  // namespace

absl::Status Exclude(const Exclusions& exclusions, const OpenMemory& open, Snapshot& snapshot) {
  Excluder excluder(exclusions, snapshot);
  if (absl::Status status = excluder.Find(open); !status.ok()) return status;
  return excluder.Apply();
}

}  // namespace crfs
