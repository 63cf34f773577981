// SPDX-License-Identifier: Apache-2.0

#include "engine/unsupported.h"

#include <algorithm>
#include <array>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "index/codec.h"

namespace crfs {
namespace {

// Memory devices without state of their own, by minor (devices.txt of the kernel): null,
// zero, full, random, urandom.
constexpr uint32_t kMemoryMajor = 1;
constexpr std::array<uint32_t, 5> kStatelessMinors = {3, 5, 7, 8, 9};

bool IsStatelessDevice(uint64_t rdev) {
  const uint32_t minor = static_cast<uint32_t>(rdev);
  return rdev >> 32 == kMemoryMajor && std::find(kStatelessMinors.begin(), kStatelessMinors.end(),
                                                 minor) != kStatelessMinors.end();
}

std::string WordOf(const ObjectView& object, absl::string_view field) {
  const Row& row = *object.type().Find(field);
  std::string text = FormatValue(row, Value{.number = object.Number(row), .bytes = {}});
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Where descriptors, tasks and mappings are in the tree, and what is wrong with them.
class Finder {
 public:
  explicit Finder(const Snapshot& snapshot) : snapshot_(snapshot) {}

  absl::StatusOr<std::vector<std::string>> Find() {
    snapshot_.ForEach("task", [&](const ObjectView& task) { CheckTask(task); });
    snapshot_.ForEach("thread", [&](const ObjectView& thread) { CheckThread(thread); });
    snapshot_.ForEach("mm",
                      [&](const ObjectView& mm) { CheckBlockers(mm, PathOf("mm", mm.id())); });
    snapshot_.ForEach("vma", [&](const ObjectView& vma) { CheckMapping(vma); });
    snapshot_.ForEach("fd", [&](const ObjectView& fd) {
      if (fd.Number("excluded") == 0) CheckDescriptor(fd);
    });
    if (absl::Status status = CheckLocks(); !status.ok()) return status;
    return std::move(found_);
  }

 private:
  static std::string PathOf(absl::string_view type, uint64_t id) {
    return absl::StrCat("objects/", type, "/", id);
  }

  void Add(absl::string_view path, absl::string_view what, absl::string_view remedy) {
    found_.push_back(absl::StrCat(path, ": ", what, ": ", remedy));
  }

  void CheckBlockers(const ObjectView& object, const std::string& path) {
    if (object.Number("blockers") == 0) return;
    Add(path, absl::StrCat("state that cannot be restarted: ", WordOf(object, "blockers")),
        "see crfs(5), blockers");
  }

  void CheckTask(const ObjectView& task) {
    const uint64_t pid = task.Number("pid");
    pids_.insert(pid);
    CheckBlockers(task, absl::StrCat("tasks/", pid));
  }

  void CheckThread(const ObjectView& thread) {
    const uint64_t pid = snapshot_.Get("task", thread.Number("task")).Number("pid");
    const std::string path = absl::StrCat("tasks/", pid, "/threads/", thread.Number("tid"));
    CheckBlockers(thread, path);
    if (thread.Number("seccomp") == 2) {
      Add(path, "runs under a seccomp filter, which is not saved", "start it without the filter");
    }
    if (thread.Number("policy") == 6) {
      Add(path, "runs under SCHED_DEADLINE, whose parameters are not saved",
          "set another policy with chrt(1)");
    }
  }

  void CheckMapping(const ObjectView& vma) {
    const std::string path =
        absl::StrCat(PathOf("mm", vma.Number("mm")), "/vmas/", vma.DirectoryName());
    if (const uint64_t id = vma.Number("shmem"); id != 0) {
      if (snapshot_.Get("shmem", id).Number("sysv") != 0) {
        Add(path, "is a System V shared memory segment", "detach it first (shmdt(2))");
      }
    } else if (const uint64_t file = vma.Number("file"); file != 0) {
      const ObjectView view = snapshot_.Get("file", file);
      if (view.Number("kind") == CRFS_file_kind_regular && view.Number("deleted") != 0) {
        Add(path,
            absl::StrCat("maps a file that has been deleted, ", EscapeText(view.Bytes("path"))),
            "restart the program, so that it maps the file that is there now");
      }
    }
  }

  void CheckDescriptor(const ObjectView& fd) {
    const ObjectView file = snapshot_.Get("file", fd.Number("file"));
    const std::string path =
        absl::StrCat(PathOf("fdtable", fd.Number("fdtable")), "/", fd.Number("fd"));
    const std::string name = EscapeText(file.Bytes("path"));
    switch (file.Number("kind")) {
      case CRFS_file_kind_regular:
        if (file.Number("deleted") != 0) {
          Add(path, absl::StrCat("is a deleted file, ", name, ", whose contents are not saved"),
              "close it, or let it have a name (linkat(2))");
        }
        return;
      case CRFS_file_kind_directory:
      case CRFS_file_kind_path:
      case CRFS_file_kind_pipe:
      case CRFS_file_kind_fifo:
      case CRFS_file_kind_shmem:
      case CRFS_file_kind_symlink:
      case CRFS_file_kind_tty:
        return;
      case CRFS_file_kind_chardev:
        if (IsStatelessDevice(file.Number("rdev"))) return;
        Add(path, absl::StrCat("is the device ", name), "close it first");
        return;
      default:
        Add(path,
            absl::StrCat("is of kind ", WordOf(file, "kind"), " (", name,
                         "), which cannot be restarted"),
            "close it first");
    }
  }

  // Locks and leases belong to files that stay behind (/proc/locks, proc(5)).
  absl::Status CheckLocks() {
    const absl::StatusOr<std::string> locks = ReadProcFile("/proc/locks");
    if (absl::IsNotFound(locks.status())) return absl::OkStatus();  // no CONFIG_FILE_LOCKING
    if (!locks.ok()) return locks.status();
    // "1: POSIX  ADVISORY  WRITE 1234 00:2f:1234 0 EOF", with "->" after the number of a
    // lock that waits.
    for (const absl::string_view line : absl::StrSplit(*locks, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, ' ', absl::SkipWhitespace());
      if (words.size() < 6 || words[1] == "->") continue;
      uint64_t pid;
      if (!absl::SimpleAtoi(words[4], &pid) || !pids_.contains(pid)) continue;
      if (IsOfExcluded(words[5])) continue;
      Add(absl::StrCat("tasks/", pid),
          absl::StrCat("holds a lock (", words[1], " ", words[3], ", ", words[5],
                       "), which is not saved"),
          "unlock it first");
    }
    return absl::OkStatus();
  }

  // Whether a file, as /proc/locks names it, is known by descriptors alone that are left out.
  bool IsOfExcluded(absl::string_view lock) const {
    bool excluded = false, kept = false;
    snapshot_.ForEach("fd", [&](const ObjectView& fd) {
      if (fd.Number("file") == 0) return;
      const ObjectView file = snapshot_.Get("file", fd.Number("file"));
      const uint64_t dev = file.Number("dev");
      if (absl::StrFormat("%02x:%02x:%d", dev >> 32, dev & UINT32_MAX, file.Number("inode")) !=
          lock) {
        return;
      }
      (fd.Number("excluded") != 0 ? excluded : kept) = true;
    });
    return excluded && !kept;
  }

  const Snapshot& snapshot_;
  absl::flat_hash_set<uint64_t> pids_;
  std::vector<std::string> found_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> FindUnsupported(const Snapshot& snapshot) {
  return Finder(snapshot).Find();
}

}  // namespace crfs
