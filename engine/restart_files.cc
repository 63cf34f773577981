// SPDX-License-Identifier: Apache-2.0
//
// Files, by their paths: are they there, are they what they were, and may the caller open them?
//
// What has changed since the checkpoint is told by size and time of last change:
// - a file that is only read, that is mapped privately, or that the program runs has neither
//   changed;
// - one that the program reads and writes, or maps shared and writable, has its old size;
// - one that it only writes has not become shorter, unless it appends.
// A path may have been edited, so what it leads to now is judged by what it is used for. Another
// inode than the saved one, only written to, needs no certain size. Where `mtime` has been
// deleted from the tree (0), nothing is compared.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "engine/proc_file.h"
#include "engine/restart_check.h"
#include "index/codec.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr absl::string_view kDeleted = " (deleted)";

// What the program does with a file.
struct Use {
  bool open = false;
  bool maps = false;
  bool writes_mapping = false;
  bool runs_mapping = false;
  bool is_exe = false;
  bool is_directory = false;  // cwd or root
};

absl::string_view TypeName(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "a regular file";
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a fifo";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFSOCK:
      return "a socket";
    default:
      return "of no known type";
  }
}

// The number by which the kernel itself knows the inode, as the checkpoint has it: on some
// file systems (overlay, btrfs) stat(2) tells others. 0: not known.
uint64_t InodeOf(int fd) {
  const absl::StatusOr<std::string> info = ReadProcFile(absl::StrCat("/proc/self/fdinfo/", fd));
  if (!info.ok()) return 0;
  for (const absl::string_view line : absl::StrSplit(*info, '\n')) {
    uint64_t inode;
    if (absl::StartsWith(line, "ino:") && absl::SimpleAtoi(line.substr(4), &inode)) return inode;
  }
  return 0;
}

class FileChecker {
 public:
  explicit FileChecker(const RestartCheck& check) : check_(check) {}

  void Check() {
    FindUses();
    for (const auto& [id, use] : uses_) CheckFile(check_.checkpoint.Get("file", id), use);
    for (const uint64_t id : check_.checkpoint.Ids("fs")) {
      const ObjectView fs = check_.checkpoint.Get("fs", id);
      for (const absl::string_view field : {"cwd", "root"}) {
        if (fs.Number(field) == 0) {
          check_.Add(fs, field, "is missing", "make it a link to a directory in objects/file");
        }
      }
    }
  }

 private:
  void FindUses() {
    const LoadedCheckpoint& checkpoint = check_.checkpoint;
    for (const uint64_t id : checkpoint.Ids("fd")) {
      const uint64_t file = checkpoint.Get("fd", id).Number("file");
      if (checkpoint.Get("fd", id).Number("excluded") != 0) continue;
      if (!check_.given.contains(file)) uses_[file].open = true;
    }
    for (const uint64_t id : checkpoint.Ids("vma")) {
      const ObjectView vma = checkpoint.Get("vma", id);
      if (vma.Number("shmem") != 0) continue;
      Use& use = uses_[vma.Number("file")];
      const bool shared = (vma.Number("prot") & 8) != 0;
      use.maps = true;
      use.writes_mapping |= shared && (vma.Number("flags") >> CRFS_vma_flags_mw & 1) != 0;
      use.runs_mapping |= (vma.Number("prot") & 4) != 0;
    }
    for (const uint64_t id : checkpoint.Ids("mm")) {
      uses_[checkpoint.Get("mm", id).Number("exe")].is_exe = true;
    }
    for (const uint64_t id : checkpoint.Ids("fs")) {
      uses_[checkpoint.Get("fs", id).Number("cwd")].is_directory = true;
      uses_[checkpoint.Get("fs", id).Number("root")].is_directory = true;
    }
    uses_.erase(0);  // references to nothing
  }

  void Add(const ObjectView& file, absl::string_view what, absl::string_view remedy) {
    check_.Add(file, "path", absl::StrCat(EscapeText(file.Bytes("path")), " ", what), remedy);
  }

  static bool HasPath(uint64_t kind) {
    switch (kind) {
      case CRFS_file_kind_regular:
      case CRFS_file_kind_directory:
      case CRFS_file_kind_path:
      case CRFS_file_kind_symlink:
      case CRFS_file_kind_fifo:
      case CRFS_file_kind_chardev:
        return true;
      default:
        return false;
    }
  }

  void CheckFile(const ObjectView& file, const Use& use) {
    const std::string path(file.Bytes("path"));
    if (!HasPath(file.Number("kind"))) {
      if (use.is_exe || use.is_directory) {
        Add(file, absl::StrCat("is of kind ", ShownValue(file, "kind")),
            use.is_exe ? "link exe to a program" : "link cwd and root to directories");
      } else if (use.maps && file.Number("kind") != CRFS_file_kind_shmem) {
        Add(file, absl::StrCat("is mapped, and of kind ", ShownValue(file, "kind")),
            "unmap it before the checkpoint");
      }
      return;  // a descriptor's kind is judged with it
    }
    if (path.empty() || path.front() != '/') {
      return Add(file, "is no absolute path", "write one");
    }
    if (file.Number("deleted") != 0 && absl::EndsWith(path, kDeleted)) {
      return Add(file, "had been deleted, and its contents were not saved",
                 "write the path of a file to use in its place");
    }
    const bool is_link = file.Number("kind") == CRFS_file_kind_symlink;
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC | (is_link ? O_NOFOLLOW : 0)));
    struct stat stat = {};
    if (!fd.valid() || ::fstat(fd.get(), &stat) != 0) return CannotFind(file, errno);
    if (!FitsType(file, use, stat)) return;
    CheckAccess(file, use, stat);
    if (S_ISREG(stat.st_mode)) CheckSame(file, use, stat, InodeOf(fd.get()));
  }

  void CannotFind(const ObjectView& file, int error) {
    if (error == ENOENT || error == ENOTDIR) {
      return Add(file, "is not there", "put it back, or write the path of another");
    }
    if (error == EACCES) {
      return Add(file, "is not for you to find: permission denied (EACCES)",
                 "run crfs as a user who may, or write the path of another file");
    }
    Add(file, absl::StrCat("cannot be looked at (", std::strerror(error), ")"),
        "write the path of another file");
  }

  // ---- what it is -----------------------------------------------------------------------------

  bool FitsType(const ObjectView& file, const Use& use, const struct stat& stat) {
    const mode_t now = stat.st_mode & S_IFMT, wanted = file.Number("mode") & S_IFMT;
    if (use.is_directory && !IsOfType(file, now, S_IFDIR)) return false;
    if (use.is_exe && !IsOfType(file, now, S_IFREG)) return false;
    if (use.maps && !S_ISCHR(wanted) && !IsOfType(file, now, S_IFREG)) return false;
    // Output to a file may become output to a device, and the other way round.
    const bool may_be_edited =
        (S_ISREG(wanted) || S_ISCHR(wanted)) && (S_ISREG(now) || S_ISCHR(now));
    if (use.open && !may_be_edited && !IsOfType(file, now, wanted)) return false;
    if (S_ISCHR(now) && S_ISCHR(wanted)) {
      const uint64_t rdev = uint64_t{major(stat.st_rdev)} << 32 | minor(stat.st_rdev);
      if (rdev != file.Number("rdev") && rdev >> 32 != 1) {
        Add(file, "is another device than it was",
            "write the path of that, or give a descriptor (/dev/fd/N)");
        return false;
      }
    }
    return true;
  }

  bool IsOfType(const ObjectView& file, mode_t now, mode_t wanted) {
    if (now == wanted) return true;
    Add(file, absl::StrCat("is ", TypeName(now), ", not ", TypeName(wanted)),
        "put the old one back, write the path of another, or give a descriptor (/dev/fd/N)");
    return false;
  }

  // ---- whether it may be opened ---------------------------------------------------------------

  void CheckAccess(const ObjectView& file, const Use& use, const struct stat& stat) {
    const uint64_t flags = file.Number("flags"), mode = flags & O_ACCMODE;
    const bool opens = use.open && (flags & O_PATH) == 0;
    if ((opens && mode != O_WRONLY) || use.maps) Require(file, R_OK, "read");
    if ((opens && mode != O_RDONLY) || use.writes_mapping) Require(file, W_OK, "written");
    if (use.is_exe) Require(file, X_OK, "run");
    if (use.is_directory) Require(file, X_OK, "entered");
    if (use.runs_mapping && IsOnNoexec(file)) {
      Add(file, "is mapped to be run, and its file system is mounted noexec",
          "mount that without noexec");
    }
    if (opens && (flags & O_NOATIME) != 0 && stat.st_uid != check_.caller.uids[3] &&
        !check_.caller.Can(CAP_FOWNER)) {
      check_.Deny(file, "flags", "has O_NOATIME, and the file is not yours", "CAP_FOWNER");
    }
  }

  // The kernel's own answer, for the effective ids and with capabilities. Opens nothing.
  void Require(const ObjectView& file, int access, absl::string_view how) {
    const std::string path(file.Bytes("path"));
    if (::faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) == 0) return;
    if (errno == EROFS) {
      return Add(file, "is to be written, and its file system is read-only",
                 "mount that for writing, or write the path of another file");
    }
    Add(file,
        absl::StrCat("may not be ", how, " by you: permission denied (",
                     errno == EPERM ? "EPERM" : "EACCES", ")"),
        "run crfs as a user who may, or write the path of another file");
  }

  static bool IsOnNoexec(const ObjectView& file) {
    struct statvfs stat = {};
    return ::statvfs(std::string(file.Bytes("path")).c_str(), &stat) == 0 &&
           (stat.f_flag & ST_NOEXEC) != 0;
  }

  // ---- whether it has changed -----------------------------------------------------------------

  void CheckSame(const ObjectView& file, const Use& use, const struct stat& stat, uint64_t inode) {
    if (!S_ISREG(file.Number("mode")) || file.Number("mtime") == 0) return;
    const uint64_t mode = file.Number("flags") & O_ACCMODE;
    const bool opens = use.open && (file.Number("flags") & O_PATH) == 0;
    const bool reads =
        (opens && mode == O_RDONLY) || (use.maps && !use.writes_mapping) || use.is_exe;
    const bool updates = (opens && mode != O_RDONLY && mode != O_WRONLY) || use.writes_mapping;
    const uint64_t size = file.Number("size"), now = static_cast<uint64_t>(stat.st_size);
    const auto mtime =
        static_cast<uint64_t>(stat.st_mtim.tv_sec * int64_t{1'000'000'000} + stat.st_mtim.tv_nsec);
    if (reads || updates) {
      if (now != size) return Changed(file, "size", absl::StrCat(now, " bytes"));
      if (reads && mtime != file.Number("mtime")) {
        Changed(file, "mtime", absl::StrCat("been changed at ", FormatTime(mtime)));
      }
    } else if (opens && inode == file.Number("inode") && now < size &&
               (file.Number("flags") & O_APPEND) == 0) {
      Changed(file, "size", absl::StrCat("only ", now, " bytes"));
    }
  }

  static std::string FormatTime(uint64_t time) {
    const std::string text =
        FormatValue(*FindType("file")->Find("mtime"), Value{.number = time, .bytes = {}});
    return text.substr(0, text.find('\n'));
  }

  void Changed(const ObjectView& file, absl::string_view field, absl::string_view now) {
    check_.Add(file, field,
               absl::StrCat("is ", ShownValue(file, field), ", and ",
                            EscapeText(file.Bytes("path")), " has ", now, " now"),
               absl::StrCat("put back the file that was there; if another is meant, delete ",
                            check_.checkpoint.Where(file, "mtime"), ", and nothing is compared"));
  }

  const RestartCheck& check_;
  std::map<uint64_t, Use> uses_;  // by id of the file
};

}  // namespace

void CheckFiles(const RestartCheck& check) { FileChecker(check).Check(); }

}  // namespace crfs
