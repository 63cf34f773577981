// SPDX-License-Identifier: Apache-2.0

#include "fusefs/umount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fusefs/edits_daemon.h"
#include "fusefs/mount_table.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

absl::Status Problem(absl::string_view path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", what));
}

absl::Status Busy(const std::string& directory) {
  return Problem(directory, absl::StrCat("is in use: see by whom with `fuser -vm ", directory,
                                         "`, or use --lazy"));
}

// Runs fusermount3, which may unmount what its user has mounted. What it said on standard
// error if it failed, else nothing.
absl::StatusOr<std::string> RunFusermount(const std::string& directory, bool lazy) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Problem("pipe", std::strerror(errno));
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDERR_FILENO);
  std::vector<const char*> arguments = {"fusermount3", "-u"};
  if (lazy) arguments.push_back("-z");
  arguments.insert(arguments.end(), {"--", directory.c_str(), nullptr});
  // Its messages are read below, so they must be in a language that is known.
  const char* const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0], &actions, nullptr,
                                   const_cast<char* const*>(arguments.data()),
                                   const_cast<char* const*>(environment));
  ::posix_spawn_file_actions_destroy(&actions);
  writer.reset();
  if (error != 0) {
    return Problem("fusermount3",
                   absl::StrCat("cannot be run (", std::strerror(error), "): install fuse3"));
  }
  std::string said;
  char buffer[512];
  for (ssize_t got; (got = ::read(reader.get(), buffer, sizeof(buffer))) > 0;) {
    said.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  return said.empty() ? "fusermount3 failed" : std::string(absl::StripAsciiWhitespace(said));
}

// Unmounts, by whatever means this user has.
absl::Status UnmountAt(const std::string& directory, const std::string& absolute, bool lazy) {
  // Who may not do it alone has fusermount3 do it, as when it was mounted.
  const int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);
  if (::umount2(absolute.c_str(), flags) == 0) return absl::OkStatus();
  if (errno == EBUSY) return Busy(directory);
  if (errno != EPERM) return Problem(directory, std::strerror(errno));
  const absl::StatusOr<std::string> said = RunFusermount(absolute, lazy);
  if (!said.ok()) return said.status();
  if (said->empty()) return absl::OkStatus();
  if (absl::StrContains(*said, "busy")) return Busy(directory);
  if (absl::StrContains(*said, "not found in /etc/mtab")) {
    return Problem(directory, "it is another user's mount: let them unmount it, or root");
  }
  return Problem(directory, *said);
}

}  // namespace

absl::Status Unmount(const std::string& directory, bool lazy) {
  const std::string absolute = AbsolutePath(directory);
  if (absolute.empty()) {
    return Problem(directory,
                   absl::StrCat(std::strerror(errno), ": give the directory it is mounted on"));
  }
  const std::optional<MountEntry> mount = FindMount(absolute);
  if (!mount.has_value()) {
    return Problem(directory, "nothing is mounted here: see `findmnt -t fuse.crfs`");
  }
  if (mount->type != kMountType) {
    return Problem(directory, absl::StrCat("what is mounted here is of type ", mount->type,
                                           ": use umount(8)"));
  }
  // Who pulls the plug after this has lost nothing; who mounts it again, or deletes the edits,
  // has no daemon in the way.
  std::optional<EditsDaemon> daemon;
  if (!mount->read_only && !lazy) {
    absl::StatusOr<EditsDaemon> synced = EditsDaemon::Sync(absolute);
    if (!synced.ok()) return synced.status();
    daemon = *std::move(synced);
  }
  const absl::Status status = UnmountAt(directory, absolute, lazy);
  if (status.ok() && daemon.has_value()) daemon->WaitForEnd();
  return status;
}

}  // namespace crfs
