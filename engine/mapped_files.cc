// SPDX-License-Identifier: Apache-2.0

#include "engine/mapped_files.h"

#include <fcntl.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "crfs/words.h"
#include "index/schema.h"

namespace crfs {
namespace {

constexpr uint64_t kSharedBit = 8;  // of vma.prot

// What makes a file the same, and the way it is open.
using FileKey = std::tuple<std::string, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t>;

// The path and what is compared at a restart. A path says nothing of the deleted and of those that
// never had one.
FileKey KeyOf(const ObjectView& file) {
  const bool by_path = file.Number("kind") == CRFS_file_kind_regular && file.Number("deleted") == 0;
  return {std::string(file.Bytes("path")),
          file.Number("kind"),
          file.Number("flags") & O_ACCMODE,
          file.Number("size"),
          file.Number("mtime"),
          by_path ? 0 : file.Number("dev"),
          by_path ? 0 : file.Number("inode")};
}

class Unifier {
 public:
  explicit Unifier(Snapshot& snapshot)
      : snapshot_(snapshot),
        vmas_(snapshot.Count(*FindType("mm"))),
        fds_(snapshot.Count(*FindType("fdtable"))) {}

  absl::Status Run() {
    snapshot_.ForEach(
        "vma", [this](const ObjectView& vma) { vmas_[vma.Number("mm") - 1].push_back(vma.id()); });
    snapshot_.ForEach("fd", [this](const ObjectView& fd) {
      const uint64_t table = fd.Number("fdtable"), file = fd.Number("file");
      fds_[table - 1].push_back(fd.id());
      open_.try_emplace({table, KeyOf(snapshot_.Get("file", file))}, file);
    });
    for (uint64_t id = 1; id <= snapshot_.Count(*FindType("task")); ++id) VisitTask(id);
    if (status_.ok()) snapshot_.ReplaceAll(*FindType("file"), std::move(files_));
    return status_;
  }

 private:
  void VisitTask(uint64_t id) {
    const ObjectView task = snapshot_.Get("task", id);
    const uint64_t mm = task.Number("mm"), table = task.Number("fd"), fs = task.Number("fs");
    const auto place = [this](uint64_t file) { return Place(file); };
    if (mm != 0 && spaces_.insert(mm).second) {
      Refer("mm", mm, "exe", [&](uint64_t file) { return PlaceMapped(MappedInstead(mm, file)); });
      for (const uint64_t vma : vmas_[mm - 1]) VisitMapping(vma, table);
    }
    if (table != 0 && tables_.insert(table).second) {
      for (const uint64_t fd : fds_[table - 1]) Refer("fd", fd, "file", place);
    }
    if (fs != 0 && attributes_.insert(fs).second) {
      Refer("fs", fs, "cwd", place);
      Refer("fs", fs, "root", place);
    }
  }

  // The program's file as its mappings have it: an overlay shows two devices and inodes of one file
  // (before Linux 6.8), and those of /proc/PID/maps count.
  uint64_t MappedInstead(uint64_t mm, uint64_t program) const {
    const FileKey key = KeyOf(snapshot_.Get("file", program));
    for (const uint64_t vma : vmas_[mm - 1]) {
      const uint64_t file = snapshot_.Get("vma", vma).Number("file");
      if (file != 0 && KeyOf(snapshot_.Get("file", file)) == key) return file;
    }
    return program;
  }

  void VisitMapping(uint64_t id, uint64_t table) {
    const bool is_shared = (snapshot_.Get("vma", id).Number("prot") & kSharedBit) != 0;
    Refer("vma", id, "file", [&](uint64_t file) {
      const ObjectView view = snapshot_.Get("file", file);
      if (is_shared || view.Number("kind") == CRFS_file_kind_shmem) {
        const auto open = open_.find({table, KeyOf(view)});
        if (open != open_.end()) return Place(open->second);
      }
      return PlaceMapped(file);
    });
  }

  // Sets one reference to the new id of what it is to refer to.
  void Refer(absl::string_view type, uint64_t id, absl::string_view row,
             absl::FunctionRef<uint64_t(uint64_t)> place) {
    const ObjectView object = snapshot_.Get(type, id);
    const uint64_t file = object.Number(row);
    if (file == 0) return;
    ObjectBuilder builder(object);
    builder.SetNumber(row, place(file));
    status_.Update(snapshot_.Replace(id, builder));
  }

  uint64_t Place(uint64_t file) {
    const auto [found, added] = placed_.try_emplace(file, files_.size() + 1);
    if (added) Append(ObjectBuilder(snapshot_.Get("file", file)));
    return found->second;
  }

  uint64_t PlaceMapped(uint64_t file) {
    const ObjectView view = snapshot_.Get("file", file);
    const auto [found, added] = mapped_.try_emplace(KeyOf(view), files_.size() + 1);
    if (added) {
      ObjectBuilder builder(view);
      builder.SetNumber("flags", view.Number("flags") & (O_ACCMODE | kLargeFile))
          .SetNumber("pos", 0)
          .SetNumber("owner_signal", 0)
          .SetNumber("owner_pid", 0);
      Append(builder);
    }
    return found->second;
  }

  void Append(const ObjectBuilder& file) {
    absl::StatusOr<std::string> body = file.Build();
    status_.Update(body.status());
    files_.push_back(body.ok() ? *std::move(body) : "");
  }

  Snapshot& snapshot_;
  std::vector<std::vector<uint64_t>> vmas_, fds_;               // ids, by that of their owner - 1
  absl::flat_hash_set<uint64_t> spaces_, tables_, attributes_;  // visited
  std::map<std::pair<uint64_t, FileKey>, uint64_t> open_;  // by table: the first descriptor's file
  absl::flat_hash_map<uint64_t, uint64_t> placed_;         // new ids of descriptions, by old ones
  std::map<FileKey, uint64_t> mapped_;                     // new ids of those only mapped
  std::vector<std::string> files_;                         // bodies, by new id - 1
  absl::Status status_;
};

}  // namespace

absl::Status UnifyMappedFiles(Snapshot& snapshot) { return Unifier(snapshot).Run(); }

}  // namespace crfs
