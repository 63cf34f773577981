// SPDX-License-Identifier: Apache-2.0

#include "fusefs/edits_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace crfs {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kAgain = absl::Milliseconds(20);

absl::Status Problem(const std::string& path, int error) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": the edits cannot be kept here: ", std::strerror(error),
                   ": name another folder with --edits"));
}

// 0, or an errno.
int LockFolder(int fd) {
  for (const absl::Time end = absl::Now() + kPatience;; absl::SleepFor(kAgain)) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EINTR) continue;
    // Not every file system locks folders; the edits have a lock of their own inside.
    if (errno != EWOULDBLOCK) return 0;
    if (absl::Now() > end) return EWOULDBLOCK;
  }
}

}  // namespace

absl::Status CheckHoldsEditsAlone(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == kEditsName) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        directory, ": is not empty (", name,
        "), and the edits would be kept in it: give an empty directory, or a place for the edits "
        "with --edits"));
  }
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, ": ", error.message(), ": choose another directory"));
  }
  return absl::OkStatus();
}

absl::StatusOr<EditsFolder> EditsFolder::Open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Problem(path, errno);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return Problem(path, errno);
  if (LockFolder(fd.get()) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        ": another mount has these edits open: see findmnt -t fuse.crfs, and crfs umount "
        "it first"));
  }
  return EditsFolder(path, std::move(fd));
}

std::string EditsFolder::path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

absl::Status EditsFolder::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrReplaceAll(status.message(), {{path(), name_}}));
}

}  // namespace crfs
