// SPDX-License-Identifier: Apache-2.0

#include "index/open_below.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"

namespace crfs {
namespace {

absl::StatusOr<UniqueFd> OpenBelow(int directory, const std::string& path, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    UniqueFd fd(
        static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how))));
    if (fd.valid()) return fd;
    if (errno == EINTR || errno == EAGAIN) continue;  // EAGAIN: something was renamed meanwhile
    if (errno == ENOENT) return absl::NotFoundError("there is no such file");
    if (errno == ELOOP || errno == ENOTDIR) {
      return absl::FailedPreconditionError("is a symbolic link, or lies behind one");
    }
    return absl::ErrnoToStatus(errno, "cannot open");
  }
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFileBelow(int directory, const std::string& path) {
  // Not to wait for the writer of a fifo.
  auto fd = OpenBelow(directory, path, O_NONBLOCK);
  if (!fd.ok()) return fd;
  struct stat status;
  if (::fstat(fd->get(), &status) != 0) return absl::ErrnoToStatus(errno, "cannot stat");
  if (!S_ISREG(status.st_mode))
    return absl::FailedPreconditionError("is no regular file: put a file in its place");
  return fd;
}

absl::StatusOr<UniqueFd> OpenDirectoryBelow(int directory, const std::string& path) {
  auto fd = OpenBelow(directory, path, O_DIRECTORY);
  if (!absl::IsFailedPrecondition(fd.status())) return fd;
  return absl::FailedPreconditionError("is no directory: put the directory back");
}

}  // namespace crfs
