// SPDX-License-Identifier: Apache-2.0

#include "fusefs/edits_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

constexpr int kPatienceMs = 10'000;

UniqueFd OpenDaemon(int directory) {
  char text[32];
  const ssize_t size =
      ::fgetxattr(directory, std::string(kDaemonXattr).c_str(), text, sizeof(text));
  pid_t pid;
  if (size <= 0 || !absl::SimpleAtoi(absl::string_view(text, static_cast<size_t>(size)), &pid)) {
    return UniqueFd();
  }
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

absl::StatusOr<EditsDaemon> EditsDaemon::Sync(const std::string& directory) {
  const UniqueFd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Dead, or of somebody else, who may do this.
  if (!root.valid()) return EditsDaemon(UniqueFd());
  if (::fsync(root.get()) != 0 && errno != ENOTCONN) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, ": its edits cannot be written to the disk: ", std::strerror(errno),
                     ": see the system's log; with --lazy it is unmounted all the same"));
  }
  return EditsDaemon(OpenDaemon(root.get()));
}

void EditsDaemon::WaitForEnd() const {
  if (!pidfd_.valid()) return;
  pollfd end = {.fd = pidfd_.get(), .events = POLLIN};
  while (::poll(&end, 1, kPatienceMs) < 0 && errno == EINTR) {
  }
}

}  // namespace crfs
