// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_sharing.h"

#include <dirent.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

constexpr uint32_t kSharedOutside = uint32_t{1} << CRFS_blockers_shared_outside;

absl::StatusOr<std::vector<pid_t>> ListTasks() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (folder == nullptr) return absl::ErrnoToStatus(errno, "/proc: cannot be opened");
  std::vector<pid_t> pids;
  while (const dirent* entry = ::readdir(folder.get())) {
    pid_t pid;
    if (absl::SimpleAtoi(entry->d_name, &pid)) pids.push_back(pid);
  }
  return pids;
}

uint64_t FindQuietly(const KcmpTable& table, pid_t tid) { return table.Find(tid).value_or(0); }

absl::Status Mark(Snapshot& snapshot, absl::string_view type, uint64_t id) {
  ObjectBuilder object(snapshot.Get(type, id));
  object.SetNumber("blockers", snapshot.Get(type, id).Number("blockers") | kSharedOutside);
  return snapshot.Replace(id, object);
}

struct Found {
  absl::flat_hash_set<uint64_t> mm, fdtable, fs, sighand;
};

void Look(const SharedTables& tables, pid_t tid, Found& found) {
  found.mm.insert(FindQuietly(tables.mm, tid));
  found.fdtable.insert(FindQuietly(tables.fdtable, tid));
  found.fs.insert(FindQuietly(tables.fs, tid));
  found.sighand.insert(FindQuietly(tables.sighand, tid));
}

}  // namespace

absl::Status NoteOutsideSharing(const SharedTables& tables,
                                const absl::flat_hash_set<pid_t>& frozen, Snapshot& snapshot) {
  const absl::StatusOr<std::vector<pid_t>> pids = ListTasks();
  if (!pids.ok()) return pids.status();
  Found found;
  for (const pid_t pid : *pids) {
    const absl::StatusOr<std::vector<pid_t>> tids = ListThreads(pid);
    if (!tids.ok()) continue;  // ended meanwhile
    for (const pid_t tid : *tids) {
      if (!frozen.contains(tid)) Look(tables, tid, found);
    }
  }
  for (uint64_t id = 1; id <= snapshot.Count(*FindType("mm")); ++id) {
    if (!found.mm.contains(id)) continue;
    if (absl::Status status = Mark(snapshot, "mm", id); !status.ok()) return status;
  }
  for (uint64_t id = 1; id <= snapshot.Count(*FindType("task")); ++id) {
    const ObjectView task = snapshot.Get("task", id);
    if (task.Number("mm") == 0) continue;
    if (!found.fdtable.contains(task.Number("fd")) && !found.fs.contains(task.Number("fs")) &&
        !found.sighand.contains(task.Number("sighand"))) {
      continue;
    }
    if (absl::Status status = Mark(snapshot, "task", id); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crfs
