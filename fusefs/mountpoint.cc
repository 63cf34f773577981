// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mountpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fusefs/mount_table.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

absl::Status Problem(absl::string_view path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", what));
}

absl::Status ProblemWithDirectory(const std::string& directory, int error) {
  switch (error) {
    case ENOENT:
      return Problem(directory, "no such directory: make it first (mkdir)");
    case ENOTCONN:
      return Problem(directory, absl::StrCat("the file system mounted here is dead (",
                                             std::strerror(error), "): crfs umount it first"));
    case EACCES:
      return Problem(directory, "permission denied: mount where you may enter");
    default:
      return Problem(directory, absl::StrCat(std::strerror(error), ": choose another directory"));
  }
}

bool UserMayAllowOther() {
  std::ifstream file("/etc/fuse.conf");
  for (std::string line; std::getline(file, line);) {
    if (absl::StripAsciiWhitespace(line) == "user_allow_other") return true;
  }
  return false;
}

}  // namespace

bool IsInPath(const std::string& program) {
  const char* const path = std::getenv("PATH");
  if (path == nullptr) return false;
  for (const absl::string_view directory : absl::StrSplit(path, ':')) {
    if (::access(absl::StrCat(directory, "/", program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

absl::StatusOr<std::string> CheckMountpoint(const std::string& directory) {
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0) return ProblemWithDirectory(directory, errno);
  if (!S_ISDIR(status.st_mode)) {
    return Problem(directory, "not a directory: give a directory to mount on");
  }
  // A dead file system may still have its root's attributes cached; a name in it it has not.
  if (::access(absl::StrCat(directory, "/.crfs").c_str(), F_OK) != 0 && errno == ENOTCONN) {
    return ProblemWithDirectory(directory, ENOTCONN);
  }
  // The rule of fusermount3, said before it says it worse.
  if (::geteuid() != 0 && ::access(directory.c_str(), W_OK) != 0) {
    return Problem(directory, "you may not write there: mount on a directory of your own");
  }
  std::string absolute = AbsolutePath(directory);
  if (absolute.empty()) return ProblemWithDirectory(directory, errno);
  const std::optional<MountEntry> mount = FindMount(absolute);
  if (mount.has_value() && mount->type == kMountType) {
    return Problem(directory, absl::StrCat(mount->source,
                                           " is mounted here already: crfs umount "
                                           "it first, or choose another directory"));
  }
  return absolute;
}

absl::Status CheckFuse(bool allow_other) {
  const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) {
    if (errno == EACCES || errno == EPERM) {
      return Problem("/dev/fuse", "you may not open it: ask for its permissions (usually 0666)");
    }
    return Problem("/dev/fuse", absl::StrCat(std::strerror(errno),
                                             ": load the module (modprobe fuse); in a container, "
                                             "pass the device in"));
  }
  if (::geteuid() == 0) return absl::OkStatus();
  if (::access("/usr/bin/fusermount3", X_OK) != 0 && !IsInPath("fusermount3")) {
    return Problem("fusermount3",
                   "not found; users other than root need it to mount: install fuse3");
  }
  if (allow_other && !UserMayAllowOther()) {
    return Problem("/etc/fuse.conf",
                   "does not have user_allow_other: add it, or leave out -o allow_other");
  }
  return absl::OkStatus();
}

}  // namespace crfs
