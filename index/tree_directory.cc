// SPDX-License-Identifier: Apache-2.0

#include "index/tree_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <fstream>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/image.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// A value is at most a record long, and its text four times that (\ooo).
constexpr size_t kTextMax = size_t{4} * CRFS_RECORD_BODY_MAX + 4096;

DirectoryEntry::Kind KindOf(int directory, const dirent& entry) {
  unsigned char type = entry.d_type;
  if (type == DT_UNKNOWN) {  // the file system does not say
    struct stat status;
    if (::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      type = IFTODT(status.st_mode);
    }
  }
  switch (type) {
    case DT_REG:
      return DirectoryEntry::Kind::kFile;
    case DT_DIR:
      return DirectoryEntry::Kind::kDirectory;
    case DT_LNK:
      return DirectoryEntry::Kind::kLink;
    default:
      return DirectoryEntry::Kind::kOther;
  }
}

}  // namespace

absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(int directory) {
  const int own = ::fcntl(directory, F_DUPFD_CLOEXEC, 3);  // closedir closes it
  if (own < 0) return absl::ErrnoToStatus(errno, "cannot be listed");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own), ::closedir);
  if (stream == nullptr) {
    const int error = errno;
    ::close(own);
    return absl::ErrnoToStatus(error, "cannot be listed");
  }
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    entries.push_back({std::string(name), KindOf(directory, *entry)});
  }
  if (errno != 0) return absl::ErrnoToStatus(errno, "cannot be listed");
  return entries;
}

absl::StatusOr<std::string> ReadWhole(int directory, const std::string& name) {
  // Not to wait for the writer of a fifo.
  const UniqueFd fd(
      ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot be opened");
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return absl::ErrnoToStatus(errno, "cannot be read");
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError("is no regular file: put a file in its place");
  }
  if (static_cast<uint64_t>(status.st_size) > kTextMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("is ", status.st_size, " bytes long: no value is longer than ", kTextMax));
  }
  // One byte more than it has, so that one read sees its end.
  std::string text(static_cast<size_t>(status.st_size) + 1, '\0');
  size_t length = 0;
  for (;;) {
    const ssize_t got = ::read(fd.get(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot be read");
    length += static_cast<size_t>(got);
    if (length < text.size()) break;
    if (length > kTextMax) return absl::ResourceExhaustedError("is longer than any value");
    text.resize(2 * length);
  }
  text.resize(length);
  return text;
}

absl::StatusOr<std::string> ReadLinkIn(int directory, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (length < 0) return absl::ErrnoToStatus(errno, "cannot be read");
  target.resize(static_cast<size_t>(length));
  return target;
}

CrfsMount FindCrfsMount(int directory) {
  struct stat status;
  struct statvfs file_system;
  if (::fstat(directory, &status) != 0 || ::fstatvfs(directory, &file_system) != 0) {
    return CrfsMount::kNone;
  }
  const std::string device = absl::StrCat(major(status.st_dev), ":", minor(status.st_dev));
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    // "36 35 0:52 / /mnt ro,nosuid shared:1 - fuse.crfs job.crfs ro,..." (proc(5))
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (fields.size() < 4 || fields[2] != device) continue;
    if (!absl::StrContains(fields[3], " - fuse.crfs ")) return CrfsMount::kNone;
    return (file_system.f_flag & ST_RDONLY) != 0 ? CrfsMount::kReadOnly : CrfsMount::kWritable;
  }
  return CrfsMount::kNone;
}

}  // namespace crfs
