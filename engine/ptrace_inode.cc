// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_inode.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/mapped_files.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr absl::string_view kDeleted = " (deleted)";
// Those that F_GETFL may show; the kernel has inner ones besides.
constexpr uint32_t kOpenFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                                O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT | kLargeFile |
                                O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_PATH | O_TMPFILE;

struct AnonymousInode {
  absl::string_view name;
  crfs_file_kind kind;
};
constexpr AnonymousInode kAnonymous[] = {
    {"[eventpoll]", CRFS_file_kind_epoll},       {"[eventfd", CRFS_file_kind_eventfd},
    {"[timerfd]", CRFS_file_kind_timerfd},       {"[signalfd]", CRFS_file_kind_signalfd},
    {"inotify", CRFS_file_kind_inotify},         {"[fanotify]", CRFS_file_kind_fanotify},
    {"[pidfd]", CRFS_file_kind_pidfd},           {"[userfaultfd]", CRFS_file_kind_userfaultfd},
    {"[io_uring]", CRFS_file_kind_io_uring},     {"bpf", CRFS_file_kind_bpf},
    {"[perf_event]", CRFS_file_kind_perf_event},
};

absl::StatusOr<struct statx> StatLink(const std::string& path) {
  struct statx stat = {};
  // No request to a server: it may be one of the tasks that are frozen.
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS | STATX_MNT_ID, &stat) != 0) {
    return absl::ErrnoToStatus(errno == ESRCH ? ENOENT : errno,
                               absl::StrCat(path, ": cannot be looked at"));
  }
  return stat;
}

uint64_t ParseOctal(absl::string_view digits) {
  uint64_t number = 0;
  for (const char digit : digits) number = number * 8 + static_cast<uint64_t>(digit - '0');
  return number;
}

uint64_t OwnDevice(const struct statx& stat) {
  return DeviceNumber(stat.stx_dev_major, stat.stx_dev_minor);
}

}  // namespace

void DescribedFile::Fill(ObjectBuilder& file) const {
  file.SetNumber("kind", kind)
      .SetNumber("flags", flags)
      .SetBytes("path", path)
      .SetNumber("pos", static_cast<uint64_t>(pos))
      .SetNumber("mode", mode)
      .SetNumber("deleted", deleted ? 1 : 0)
      .SetNumber("nlink", nlink)
      .SetNumber("dev", dev)
      .SetNumber("inode", inode)
      .SetNumber("rdev", rdev)
      .SetNumber("size", size)
      .SetNumber("mtime", static_cast<uint64_t>(mtime));
}

absl::StatusOr<std::string> ReadLink(const std::string& path) {
  std::string text(PATH_MAX + kDeleted.size(), '\0');
  const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
  if (length < 0) {
    return absl::ErrnoToStatus(errno == ESRCH ? ENOENT : errno,
                               absl::StrCat(path, ": cannot be read"));
  }
  text.resize(static_cast<size_t>(length));
  return text;
}

bool IsOpenToWrite(const std::string& link) {
  struct stat mode = {};
  return ::lstat(link.c_str(), &mode) == 0 && (mode.st_mode & S_IWUSR) != 0;
}

uint64_t DeviceNumber(uint64_t major, uint64_t minor) { return major << 32 | minor; }

InodeReader::InodeReader() {
  const UniqueFd memfd(::memfd_create("crfs", MFD_CLOEXEC));
  if (memfd.valid()) {
    const auto stat = StatLink(absl::StrCat("/proc/self/fd/", memfd.get()));
    if (stat.ok()) shmem_dev_ = OwnDevice(*stat);
  }
  if (const auto stat = StatLink("/proc/self/ns/mnt"); stat.ok()) ns_dev_ = OwnDevice(*stat);
  // "pty_slave  /dev/pts  136 0-1048575 pty:slave" (proc(5)); one minor stands alone.
  const std::string drivers = ReadProcFile("/proc/tty/drivers").value_or("");
  for (const absl::string_view line : absl::StrSplit(drivers, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipWhitespace());
    if (words.size() < 4) continue;
    const std::pair<absl::string_view, absl::string_view> range =
        absl::StrSplit(words[3], absl::MaxSplits('-', 1));
    Drivers driver = {};
    if (!absl::SimpleAtoi(words[2], &driver.major) ||
        !absl::SimpleAtoi(range.first, &driver.first)) {
      continue;
    }
    if (!absl::SimpleAtoi(range.second, &driver.last)) driver.last = driver.first;
    drivers_.push_back(driver);
  }
}

absl::StatusOr<const InodeReader::Mounts*> InodeReader::MountsOf(pid_t pid) {
  const absl::StatusOr<std::string> ns = ReadLink(ProcPath(pid, "ns/mnt"));
  if (!ns.ok()) return ns.status();
  const auto [found, added] = mounts_.try_emplace(*ns);
  if (!added) return &found->second;
  const absl::StatusOr<std::string> text = ReadProcFile(ProcPath(pid, "mountinfo"));
  if (!text.ok()) return text.status();
  // "36 35 98:0 /root /point options optional... - type source options" (proc(5))
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() < 3) continue;
    const std::pair<absl::string_view, absl::string_view> device = absl::StrSplit(words[2], ':');
    uint64_t id, major_number, minor_number;
    if (!absl::SimpleAtoi(words[0], &id) || !absl::SimpleAtoi(device.first, &major_number) ||
        !absl::SimpleAtoi(device.second, &minor_number)) {
      continue;
    }
    Mount mount = {DeviceNumber(major_number, minor_number), ""};
    for (size_t i = 3; i + 1 < words.size(); ++i) {
      if (words[i] == "-") mount.type = std::string(words[i + 1]);
    }
    found->second.emplace(id, std::move(mount));
  }
  return &found->second;
}

bool InodeReader::IsTerminal(uint64_t rdev) const {
  const uint64_t major_number = rdev >> 32, minor_number = rdev & 0xffffffff;
  for (const Drivers& driver : drivers_) {
    if (driver.major == major_number && minor_number >= driver.first &&
        minor_number <= driver.last) {
      return true;
    }
  }
  constexpr uint64_t kTty = 4, kTtyAux = 5;
  return major_number == kTty || major_number == kTtyAux;
}

crfs_file_kind InodeReader::KindOf(const DescribedFile& file, uint64_t own_dev,
                                   absl::string_view type) const {
  if (file.flags & O_PATH) {
    return S_ISLNK(file.mode) ? CRFS_file_kind_symlink : CRFS_file_kind_path;
  }
  absl::string_view name = file.link;
  if (absl::ConsumePrefix(&name, "anon_inode:")) {
    for (const AnonymousInode& known : kAnonymous) {
      if (absl::StartsWith(name, known.name)) return known.kind;
    }
    return CRFS_file_kind_other;
  }
  if (absl::StartsWith(name, "pidfd:[")) return CRFS_file_kind_pidfd;
  if (own_dev == ns_dev_) return CRFS_file_kind_ns;
  switch (file.mode & S_IFMT) {
    case S_IFREG:
      if (type == "proc") return CRFS_file_kind_proc;
      return own_dev == shmem_dev_ ? CRFS_file_kind_shmem : CRFS_file_kind_regular;
    case S_IFDIR:
      return CRFS_file_kind_directory;
    case S_IFIFO:
      return absl::StartsWith(name, "pipe:[") ? CRFS_file_kind_pipe : CRFS_file_kind_fifo;
    case S_IFSOCK:
      return CRFS_file_kind_socket;
    case S_IFCHR:
      return IsTerminal(file.rdev) ? CRFS_file_kind_tty : CRFS_file_kind_chardev;
    case S_IFBLK:
      return CRFS_file_kind_blockdev;
    default:
      return CRFS_file_kind_other;
  }
}

// The kernel adds the mark to the name of what no path leads to; a name may also end so by itself.
void InodeReader::NoteDeleted(pid_t pid, DescribedFile& file) const {
  file.path = file.link;
  if (!absl::EndsWith(file.link, kDeleted)) return;
  if (file.kind != CRFS_file_kind_shmem && file.nlink != 0) {
    const auto there = StatLink(absl::StrCat(ProcPath(pid, "root"), file.link));
    if (there.ok() && there->stx_ino == file.inode) return;
  }
  file.deleted = true;
  file.path = std::string(absl::StripSuffix(file.link, kDeleted));
}

absl::Status InodeReader::Stat(pid_t pid, const std::string& link, DescribedFile& file) {
  const absl::StatusOr<struct statx> stat = StatLink(link);
  if (!stat.ok()) return stat.status();
  const absl::StatusOr<const Mounts*> mounts = MountsOf(pid);
  if (!mounts.ok()) return mounts.status();
  file.mode = stat->stx_mode;
  file.nlink = stat->stx_nlink;
  file.rdev = DeviceNumber(stat->stx_rdev_major, stat->stx_rdev_minor);
  if (S_ISREG(file.mode)) {
    file.size = stat->stx_size;
    file.mtime = stat->stx_mtime.tv_sec * 1'000'000'000 + stat->stx_mtime.tv_nsec;
  }
  // A file system may tell of another device (overlayfs, btrfs) than its mount has.
  const uint64_t own_dev = OwnDevice(*stat);
  const auto mount = (*mounts)->find(stat->stx_mnt_id);
  const bool known = (stat->stx_mask & STATX_MNT_ID) != 0 && mount != (*mounts)->end();
  if (file.dev == 0) file.dev = known ? mount->second.dev : own_dev;
  if (file.inode == 0) file.inode = stat->stx_ino;
  file.kind = KindOf(file, own_dev, known ? absl::string_view(mount->second.type) : "");
  return absl::OkStatus();
}

absl::StatusOr<DescribedFile> InodeReader::Descriptor(pid_t pid, int fd) {
  const absl::StatusOr<std::string> fdinfo =
      ReadProcFile(ProcPath(pid, absl::StrCat("fdinfo/", fd)));
  if (!fdinfo.ok()) return fdinfo.status();
  const ProcStatus lines = ProcStatus::Parse(*fdinfo);
  const std::string link = ProcPath(pid, absl::StrCat("fd/", fd));
  const absl::StatusOr<std::string> text = ReadLink(link);
  if (!text.ok()) return text.status();
  DescribedFile file;
  file.link = *text;
  const uint64_t flags = ParseOctal(lines.Text("flags"));
  file.flags = static_cast<uint32_t>(flags) & kOpenFlags;
  file.cloexec = (flags & O_CLOEXEC) != 0;
  file.pos = static_cast<int64_t>(lines.Number("pos"));
  file.inode = lines.Number("ino");  // from 5.14 on
  if (absl::Status status = Stat(pid, link, file); !status.ok()) return status;
  NoteDeleted(pid, file);
  return file;
}

absl::StatusOr<DescribedFile> InodeReader::Link(pid_t pid, absl::string_view name) {
  const std::string link = ProcPath(pid, name);
  const absl::StatusOr<std::string> text = ReadLink(link);
  if (!text.ok()) return text.status();
  DescribedFile file;
  file.link = *text;
  if (absl::Status status = Stat(pid, link, file); !status.ok()) return status;
  NoteDeleted(pid, file);
  return file;
}

absl::StatusOr<DescribedFile> InodeReader::Mapping(pid_t pid, const std::string& link, uint64_t dev,
                                                   uint64_t inode, absl::string_view name) {
  DescribedFile file;
  file.link = std::string(name);
  file.dev = dev;
  file.inode = inode;
  file.flags = kLargeFile;
  absl::Status status = Stat(pid, link, file);
  if (absl::IsPermissionDenied(status)) {
    status = Stat(pid, absl::StrCat(ProcPath(pid, "root"), name), file);
    if (!status.ok()) {
      file.mode = S_IFREG;
      file.kind = dev == shmem_dev_ ? CRFS_file_kind_shmem : CRFS_file_kind_regular;
    }
  } else if (!status.ok()) {
    return status;
  }
  NoteDeleted(pid, file);
  return file;
}

}  // namespace crfs
