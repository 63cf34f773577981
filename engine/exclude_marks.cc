// SPDX-License-Identifier: Apache-2.0

#include "engine/exclude_marks.h"

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"

namespace crfs {
namespace {

static_assert(sizeof(crfs_exclude_table) <= CRFS_EXCLUDE_SIZE);

bool MayBeTable(const ObjectView& vma) {
  constexpr uint64_t kReadWritePrivate = 3;  // of the codec perm
  return vma.Number("kind") == CRFS_vma_kind_anon && vma.Number("prot") == kReadWritePrivate &&
         vma.Number("end") - vma.Number("start") == CRFS_EXCLUDE_SIZE;
}

class Reader {
 public:
  Reader(const OpenMemory& open, const Snapshot& snapshot) : open_(open), snapshot_(snapshot) {}

  absl::StatusOr<std::vector<FoundMark>> Read() {
    absl::Status status;
    snapshot_.ForEach("vma", [&](const ObjectView& vma) {
      if (status.ok() && MayBeTable(vma)) status = ReadTable(vma);
    });
    if (!status.ok()) return status;
    return std::move(found_);
  }

 private:
  absl::Status ReadTable(const ObjectView& vma) {
    const absl::StatusOr<int> memory = MemoryOf(vma.Number("mm"));
    if (!memory.ok()) return memory.status();
    // Memory that was never written to cannot be read: it is no table.
    auto table = std::make_unique<crfs_exclude_table>();
    if (!ReadAt(*memory, vma.Number("start"), table->magic, sizeof(table->magic)) ||
        std::memcmp(table->magic, CRFS_EXCLUDE_MAGIC, sizeof(table->magic)) != 0) {
      return absl::OkStatus();
    }
    const std::string path =
        absl::StrCat("objects/mm/", vma.Number("mm"), "/vmas/", vma.DirectoryName());
    if (!ReadAt(*memory, vma.Number("start"), table.get(), sizeof(*table))) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": marks of what to leave out cannot be read: undo what was done to ",
                       "that memory"));
    }
    if (table->version != CRFS_EXCLUDE_VERSION) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": marks of version ", table->version, " of what to leave out, and ",
                       "this crfs knows ", CRFS_EXCLUDE_VERSION, ": use a newer crfs"));
    }
    if (++tables_[vma.Number("mm")] > CRFS_EXCLUDE_TABLES) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is one of more than ", CRFS_EXCLUDE_TABLES, " tables of what to ",
                       "leave out: unmap some, as libcrfs makes no more"));
    }
    for (const crfs_exclude_mark& mark : table->marks) {
      const bool is_one = mark.kind == CRFS_EXCLUDE_MEMORY || mark.kind == CRFS_EXCLUDE_FD;
      if (is_one && mark.start + mark.length >= mark.start) {
        found_.push_back({vma.Number("mm"), mark});
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int> MemoryOf(uint64_t mm) {
    const auto [found, added] = opened_.try_emplace(mm);
    if (added) {
      absl::StatusOr<UniqueFd> memory = open_(CRFS_TAG_mm, mm);
      if (!memory.ok()) return memory.status();
      found->second = *std::move(memory);
    }
    return found->second.get();
  }

  static bool ReadAt(int memory, uint64_t address, void* buffer, size_t size) {
    ssize_t got;
    do {
      got = ::pread(memory, buffer, size, static_cast<off_t>(address));
    } while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(size);
  }

  const OpenMemory& open_;
  const Snapshot& snapshot_;
  absl::flat_hash_map<uint64_t, UniqueFd> opened_;  // by id of the mm
  absl::flat_hash_map<uint64_t, int> tables_;       // likewise: how many
  std::vector<FoundMark> found_;
};

}  // namespace

absl::StatusOr<std::vector<FoundMark>> FindMarks(const OpenMemory& open, const Snapshot& snapshot) {
  return Reader(open, snapshot).Read();
}

}  // namespace crfs
