// SPDX-License-Identifier: Apache-2.0
//
// Descriptors: their kinds, their numbers, and those that the caller gives.

#include <fcntl.h>
#include <sys/resource.h>

#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/restart_check.h"
#include "engine/restart_given.h"
#include "index/codec.h"

namespace crfs {
namespace {

// /dev/null, zero, full, random, urandom: devices without state of their own.
bool IsStatelessDevice(uint64_t rdev) {
  const uint32_t minor = static_cast<uint32_t>(rdev);
  return rdev >> 32 == 1 && (minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9);
}

class DescriptorChecker {
 public:
  explicit DescriptorChecker(const RestartCheck& check) : check_(check) {}

  void Check() {
    for (const GivenFd& given : check_.options.fds) CheckGiven(given);
    for (const Inherited& inherited : check_.checkpoint.inherited()) {
      const ObjectView fd = check_.checkpoint.Get("fd", inherited.fd_id);
      CheckNumber(check_.checkpoint.Where(fd, "file"), inherited.number, std::nullopt);
    }
    for (const uint64_t id : check_.checkpoint.Ids("fd")) {
      CheckFd(check_.checkpoint.Get("fd", id));
    }
    for (const uint64_t id : FilesInUse(check_.checkpoint)) {
      CheckOwner(check_.checkpoint.Get("file", id));
    }
  }

 private:
  // ---- what the caller gives ------------------------------------------------------------------

  void CheckGiven(const GivenFd& given) {
    const std::string option = absl::StrCat("--fd ", given.pid, ":", given.fd, "=", given.number);
    const std::optional<ObjectView> fd = FindGivenFd(check_.checkpoint, given);
    if (!fd.has_value()) {
      return check_.Add(option, absl::StrCat("task ", given.pid, " has no descriptor ", given.fd),
                        absl::StrCat("see tasks/", given.pid, "/fd in the tree"));
    }
    std::optional<uint64_t> flags;
    if (const uint64_t file = fd->Number("file"); file != 0) {
      flags = check_.checkpoint.Get("file", file).Number("flags");
      const auto chosen = check_.given.find(file);
      const bool shares = fd->Number("excluded") == 0;
      if (shares && chosen != check_.given.end() && chosen->second != given.number) {
        check_.Add(option, absl::StrCat("its open file is given ", chosen->second, ", too"),
                   "give it once");
      }
    }
    CheckNumber(option, given.number, flags);
  }

  // Descriptors that crfs opens itself are closed by execve(2), those of the caller are not:
  // they have come through one.
  void CheckNumber(absl::string_view path, int number, std::optional<uint64_t> wanted) {
    const int descriptor_flags = ::fcntl(number, F_GETFD);
    if (descriptor_flags < 0 || (descriptor_flags & FD_CLOEXEC) != 0) {
      return check_.Add(path, absl::StrCat("descriptor ", number, " of the caller is not open"),
                        absl::StrCat("open it, as in `crfs ... ", number, ">FILE`"));
    }
    if (!wanted.has_value()) return;
    const auto flags = static_cast<uint64_t>(::fcntl(number, F_GETFL));
    const uint64_t mode = *wanted & O_ACCMODE, found = flags & O_ACCMODE;
    if ((flags & O_PATH) != 0 && (*wanted & O_PATH) == 0) {
      check_.Add(path, absl::StrCat("descriptor ", number, " is a bare path (O_PATH)"),
                 "open it for reading or writing");
    } else if (mode != found && found != O_RDWR && mode != O_ACCMODE) {
      check_.Add(path,
                 absl::StrCat("descriptor ", number, " is not open for ",
                              found == O_RDONLY ? "writing" : "reading", ", as the program needs"),
                 "open it in that way, too");
    }
  }

  // ---- descriptors of the checkpoint ----------------------------------------------------------

  void CheckFd(const ObjectView& fd) {
    if (StaysClosed(check_.checkpoint, check_.options, fd)) return;
    const Caller::Limit& limit = check_.caller.limits[RLIMIT_NOFILE];
    const uint64_t number = fd.KeyNumber();
    const std::string path = check_.checkpoint.Where(fd);
    if (number >= check_.machine.fd_max) {
      check_.Add(path, absl::StrCat("its number is not below fs.nr_open, ", check_.machine.fd_max),
                 "raise that (sysctl)");
    } else if (number >= limit.hard && !check_.caller.Can(CAP_SYS_RESOURCE)) {
      check_.Add(
          path,
          absl::StrCat("its number is not below your hard limit of descriptors, ", limit.hard),
          "raise that (ulimit -Hn), or run crfs as root");
    }
    if (fd.Number("excluded") != 0) return;  // another one is given in its place
    const uint64_t id = fd.Number("file");
    if (id == 0 || !seen_.insert(id).second) return;
    const ObjectView file = check_.checkpoint.Get("file", id);
    if (const auto given = check_.given.find(id); given != check_.given.end()) {
      if (CallersDescriptor(file.Bytes("path")) == given->second) {
        CheckNumber(check_.checkpoint.Where(file, "path"), given->second, file.Number("flags"));
      }
      return;
    }
    CheckKind(path, file);
  }

  void CheckKind(const std::string& path, const ObjectView& file) {
    switch (file.Number("kind")) {
      case CRFS_file_kind_regular:
      case CRFS_file_kind_directory:
      case CRFS_file_kind_path:
      case CRFS_file_kind_symlink:
        return;  // judged by their paths
      case CRFS_file_kind_fifo:
        if (file.Number("pipe") == 0) Empty(file, "pipe");
        return;
      case CRFS_file_kind_pipe:
        return CheckPipe(path, file);
      case CRFS_file_kind_shmem:
        if (file.Number("shmem") == 0) Empty(file, "shmem");
        return;
      case CRFS_file_kind_chardev:
        if (!IsStatelessDevice(file.Number("rdev"))) Refuse(path, file, "is the device ");
        return;
      case CRFS_file_kind_tty:
        return CheckTerminal(path, file);
      default:
        Refuse(path, file, absl::StrCat("is of kind ", ShownValue(file, "kind"), ", "));
    }
  }

  void Empty(const ObjectView& file, absl::string_view field) {
    check_.Add(file, field,
               absl::StrCat("is missing, and the file is of kind ", ShownValue(file, "kind")),
               "copy it again");
  }

  void Refuse(const std::string& path, const ObjectView& file, absl::string_view what) {
    check_.Add(path,
               absl::StrCat(what, EscapeText(file.Bytes("path")), ", which cannot be restarted"),
               "delete it, or give one of yours in its place (--fd)");
  }

  // An end whose others were all held by processes that are not in the checkpoint.
  void CheckPipe(const std::string& path, const ObjectView& file) {
    if (!absl::StartsWith(file.Bytes("path"), "pipe:")) {
      return check_.Add(file, "path", "is that of a pipe, which has none",
                        "to put something else in its place, write /dev/fd/N, or use --fd");
    }
    const uint64_t id = file.Number("pipe");
    if (id == 0) return Empty(file, "pipe");
    const bool reads = (file.Number("flags") & O_ACCMODE) != O_WRONLY;
    const bool writes = (file.Number("flags") & O_ACCMODE) != O_RDONLY;
    const ObjectView pipe = check_.checkpoint.Get("pipe", id);
    const absl::string_view others = reads ? "writers" : "readers";
    if ((reads && writes) || pipe.Number(others) == 0 || HasOtherEnd(id, reads)) return;
    check_.Add(path, absl::StrCat("is a pipe whose ", others, " are not in the checkpoint"),
               "give one of yours in its place (--fd), or checkpoint the other end with it");
  }

  // Whether the checkpoint has the end that is written (`written`), or the one that is read. One
  // that is to be given counts, too: somebody has chosen what becomes of the pipe.
  bool HasOtherEnd(uint64_t pipe, bool written) {
    const uint64_t without = written ? O_RDONLY : O_WRONLY;
    for (const uint64_t id : check_.checkpoint.Ids("file")) {
      const ObjectView file = check_.checkpoint.Get("file", id);
      if (file.Number("pipe") == pipe && (file.Number("flags") & O_ACCMODE) != without) return true;
    }
    return false;
  }

  // A program's terminal is the one that the caller has.
  void CheckTerminal(const std::string& path, const ObjectView& file) {
    constexpr uint64_t kMaster = uint64_t{5} << 32 | 2;  // /dev/ptmx
    if (file.Number("rdev") == kMaster) {
      return Refuse(path, file, "is the master of a pseudo-terminal, ");
    }
    if (!check_.caller.has_terminal) {
      check_.Add(path,
                 absl::StrCat("is a terminal, ", EscapeText(file.Bytes("path")),
                              ", and crfs runs on none"),
                 "run it on a terminal, or give a descriptor in its place (--fd)");
    }
  }

  // F_SETOWN names a process, or a group, of the checkpoint.
  void CheckOwner(const ObjectView& file) {
    const auto owner = static_cast<int64_t>(file.Number("owner_pid"));
    if (owner == 0) return;
    const absl::string_view field = owner > 0 ? "pid" : "pgid";
    for (const uint64_t id : check_.checkpoint.Ids("task")) {
      const ObjectView task = check_.checkpoint.Get("task", id);
      if (task.Number(field) == static_cast<uint64_t>(owner > 0 ? owner : -owner)) return;
    }
    check_.Add(file, "owner_pid", absl::StrCat("is ", owner, ", which is not in the checkpoint"),
               "write 0");
  }

  const RestartCheck& check_;
  absl::flat_hash_set<uint64_t> seen_;  // files
};

}  // namespace

void CheckDescriptors(const RestartCheck& check) { DescriptorChecker(check).Check(); }

}  // namespace crfs
