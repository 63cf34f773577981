// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/proc_rows.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

struct NamespaceLink {
  const char* field;  // of the task object
  const char* name;   // in /proc/PID/ns
  crfs_ns_kind kind;
};

constexpr NamespaceLink kLinks[] = {
    {"ns_mnt", "mnt", CRFS_ns_kind_mnt},
    {"ns_uts", "uts", CRFS_ns_kind_uts},
    {"ns_ipc", "ipc", CRFS_ns_kind_ipc},
    {"ns_pid", "pid", CRFS_ns_kind_pid},
    {"ns_pid_for_children", "pid_for_children", CRFS_ns_kind_pid},
    {"ns_net", "net", CRFS_ns_kind_net},
    {"ns_user", "user", CRFS_ns_kind_user},
    {"ns_cgroup", "cgroup", CRFS_ns_kind_cgroup},
    {"ns_time", "time", CRFS_ns_kind_time},
    {"ns_time_for_children", "time_for_children", CRFS_ns_kind_time},
};

// As deep as the kernel nests pid and user namespaces.
constexpr uint32_t kLevelsMax = 33;

ino_t InodeOf(int fd) {
  struct stat stat = {};
  return ::fstat(fd, &stat) == 0 ? stat.st_ino : 0;
}

// How far below the namespace of crfs itself this one is. Kinds that do not nest are 0 (the
// same) or 1.
uint32_t LevelOf(int fd, const NamespaceLink& link) {
  const UniqueFd own(
      ::open(absl::StrCat("/proc/self/ns/", link.name).c_str(), O_RDONLY | O_CLOEXEC));
  const ino_t top = own.valid() ? InodeOf(own.get()) : 0;
  if (InodeOf(fd) == top) return 0;
  if (link.kind != CRFS_ns_kind_pid && link.kind != CRFS_ns_kind_user) return 1;
  uint32_t level = 1;
  UniqueFd parent(::ioctl(fd, NS_GET_PARENT));
  while (parent.valid() && InodeOf(parent.get()) != top && level < kLevelsMax) {
    parent.reset(::ioctl(parent.get(), NS_GET_PARENT));
    ++level;
  }
  return level;
}

class NamespaceTable {
 public:
  explicit NamespaceTable(Snapshot& snapshot) : snapshot_(snapshot) {}

  // The object of one namespace of a task; 0 where there is none, as of a zombie.
  absl::StatusOr<uint64_t> IdOf(pid_t pid, const NamespaceLink& link) {
    const std::string path = ProcPath(pid, absl::StrCat("ns/", link.name));
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
      // A kernel without this kind, a zombie, or a task that has no such namespace (yet).
      if (errno == ENOENT || errno == ESRCH) return 0;
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
    }
    const ino_t inode = InodeOf(fd.get());
    const auto [found, added] = ids_.try_emplace({link.kind, inode}, 0);
    if (added) {
      ObjectBuilder object(*FindType("ns"));
      object.SetNumber("kind", link.kind)
          .SetNumber("level", LevelOf(fd.get(), link))
          .SetNumber("inode", inode);
      const absl::StatusOr<uint64_t> id = snapshot_.Add(object);
      if (!id.ok()) return id.status();
      found->second = *id;
    }
    return found->second;
  }

 private:
  Snapshot& snapshot_;
  std::map<std::pair<crfs_ns_kind, ino_t>, uint64_t> ids_;
};

}  // namespace

absl::Status AddNamespaces(Snapshot& snapshot) {
  NamespaceTable table(snapshot);
  const ObjectType& type = *FindType("task");
  for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
    ObjectBuilder task(snapshot.Get(type, id));
    const pid_t pid = static_cast<pid_t>(snapshot.Get(type, id).Number("pid"));
    for (const NamespaceLink& link : kLinks) {
      const absl::StatusOr<uint64_t> ns = table.IdOf(pid, link);
      if (!ns.ok()) return ns.status();
      task.SetNumber(link.field, *ns);
    }
    if (absl::Status status = snapshot.Replace(id, task); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crfs
