// SPDX-License-Identifier: Apache-2.0

#include "engine/proc_rows.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "crfs/words.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

// Kinds whose whole state is in their rows (or, for files, in the file).
bool NeedsFdinfo(uint64_t kind) {
  switch (kind) {
    case CRFS_file_kind_regular:
    case CRFS_file_kind_directory:
    case CRFS_file_kind_path:
    case CRFS_file_kind_pipe:
    case CRFS_file_kind_fifo:
    case CRFS_file_kind_chardev:
    case CRFS_file_kind_blockdev:
    case CRFS_file_kind_shmem:
    case CRFS_file_kind_tty:
    case CRFS_file_kind_symlink:
      return false;
    default:
      return true;
  }
}

uint64_t MountInFdinfo(absl::string_view fdinfo) {
  for (absl::string_view line : absl::StrSplit(fdinfo, '\n')) {
    uint64_t mount;
    if (absl::ConsumePrefix(&line, "mnt_id:") && absl::SimpleAtoi(line, &mount)) return mount;
  }
  return 0;
}

// The mount of what a link of /proc stands for; 0 if it cannot be told.
uint64_t MountOf(const std::string& link) {
  struct statx stat = {};
  if (::statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &stat) != 0) return 0;
  return stat.stx_mask & STATX_MNT_ID ? stat.stx_mnt_id : 0;
}

// For each file object, by id - 1, a link of /proc that leads to it; empty where a
// descriptor holds it.
std::vector<std::string> LinksToFiles(const Snapshot& snapshot) {
  std::vector<std::string> links(snapshot.Count(*FindType("file")));
  const auto note = [&](uint64_t file, std::string link) {
    if (file != 0 && links[file - 1].empty()) links[file - 1] = std::move(link);
  };
  std::vector<pid_t> mm_users(snapshot.Count(*FindType("mm")));
  uint64_t last_task = 0;
  // Of each task its first living thread: of one that has ended nothing is seen.
  snapshot.ForEach("thread", [&](const ObjectView& thread) {
    if (thread.Number("state") == CRFS_state_zombie || thread.Number("task") == last_task) return;
    last_task = thread.Number("task");
    const ObjectView task = snapshot.Get("task", last_task);
    const pid_t pid = static_cast<pid_t>(thread.Number("tid"));
    if (const uint64_t fs = task.Number("fs"); fs != 0) {
      note(snapshot.Get("fs", fs).Number("cwd"), ProcPath(pid, "cwd"));
      note(snapshot.Get("fs", fs).Number("root"), ProcPath(pid, "root"));
    }
    if (const uint64_t mm = task.Number("mm"); mm != 0 && mm_users[mm - 1] == 0) {
      mm_users[mm - 1] = pid;
      note(snapshot.Get("mm", mm).Number("exe"), ProcPath(pid, "exe"));
    }
  });
  snapshot.ForEach("vma", [&](const ObjectView& vma) {
    const pid_t pid = mm_users[vma.Number("mm") - 1];
    if (pid == 0 || vma.Number("file") == 0) return;
    note(vma.Number("file"),
         ProcPath(pid, absl::StrFormat("map_files/%x-%x", vma.Number("start"), vma.Number("end"))));
  });
  return links;
}

}  // namespace

absl::Status FillFileRows(Snapshot& snapshot) {
  const std::vector<Holder> holders = FindHolders(snapshot);
  const std::vector<std::string> links = LinksToFiles(snapshot);
  const ObjectType& type = *FindType("file");
  for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
    const Holder& holder = holders[id - 1];
    ObjectBuilder file(snapshot.Get(type, id));
    if (holder.tid == 0) {
      file.SetNumber("mnt_id", MountOf(links[id - 1]));
    } else {
      const absl::StatusOr<std::string> fdinfo =
          ReadProcFile(ProcPath(holder.tid, absl::StrCat("fdinfo/", holder.fd)));
      if (!fdinfo.ok()) return fdinfo.status();
      file.SetNumber("mnt_id", MountInFdinfo(*fdinfo));
      if (NeedsFdinfo(snapshot.Get(type, id).Number("kind"))) {
        file.SetBytes("fdinfo", LinesToStrings(*fdinfo));
      }
    }
    if (absl::Status status = snapshot.Replace(id, file); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status FillTaskRows(Snapshot& snapshot) {
  const ObjectType& type = *FindType("task");
  for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
    const pid_t pid = static_cast<pid_t>(snapshot.Get(type, id).Number("pid"));
    const absl::StatusOr<std::string> cgroup = ReadProcFile(ProcPath(pid, "cgroup"));
    if (!cgroup.ok() && !absl::IsNotFound(cgroup.status())) return cgroup.status();
    ObjectBuilder task(snapshot.Get(type, id));
    task.SetBytes("cgroup", LinesToStrings(cgroup.value_or("")));
    if (absl::Status status = snapshot.Replace(id, task); !status.ok()) return status;
  }
  std::vector<bool> labelled(snapshot.Count(*FindType("cred")));
  for (uint64_t id = 1; id <= snapshot.Count(*FindType("thread")); ++id) {
    const ObjectView thread = snapshot.Get("thread", id);
    const uint64_t cred = thread.Number("cred");
    if (cred == 0 || labelled[cred - 1]) continue;
    labelled[cred - 1] = true;
    const pid_t pid = static_cast<pid_t>(snapshot.Get("task", thread.Number("task")).Number("pid"));
    // Without a security module that labels tasks, reading fails with EINVAL.
    const std::string label =
        ReadProcFile(ProcPath(pid, absl::StrCat("task/", thread.Number("tid"), "/attr/current")))
            .value_or("");
    ObjectBuilder builder(snapshot.Get("cred", cred));
    builder.SetBytes("label", label.substr(0, label.find_first_of("\0\n", 0, 2)));
    if (absl::Status status = snapshot.Replace(cred, builder); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crfs
