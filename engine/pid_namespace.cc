// SPDX-License-Identifier: Apache-2.0

#include "engine/pid_namespace.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "engine/proc_status.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr int kFailedExit = 97;

// What the first task tells its maker: that the root is there, or what could not be done.
struct Told {
  int error;
  char what[60];
};

[[noreturn]] void Tell(int fd, absl::string_view what, int error) {
  Told told = {.error = error, .what = {}};
  what.copy(told.what, sizeof(told.what) - 1);
  [[maybe_unused]] const ssize_t written = ::write(fd, &told, sizeof(told));
  ::_exit(kFailedExit);
}

[[noreturn]] void LookAfter(pid_t root) {
  sigset_t all;
  ::sigfillset(&all);
  for (;;) {
    int status;
    pid_t ended;
    while ((ended = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
      if (ended != root) continue;
      ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    if (ended < 0 && errno == ECHILD) ::_exit(kFailedExit);
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal > 0 && signal != SIGCHLD) ::kill(root, signal);
  }
}

// Closes all but two, the first of which is below the second, and the standard ones.
void CloseAllBut(unsigned one, unsigned other) {
  if (one > 3) ::close_range(3, one - 1, 0);
  if (other > one + 1) ::close_range(one + 1, other - 1, 0);
  ::close_range(other + 1, ~0U, 0);
}

// Whether the maker says so; if not, he is gone.
bool Hear(int listen) {
  char word;
  return ::read(listen, &word, 1) == 1;
}

[[noreturn]] void BeFirst(int tell, int listen, UserNamespace user,
                          absl::FunctionRef<pid_t()> make) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (user == UserNamespace::kOwn && !Hear(listen)) ::_exit(kFailedExit);  // its users are there
  if (const char* what = MountOwnProc(); what != nullptr) Tell(tell, what, errno);
  const pid_t root = make();
  if (root < 0) ::_exit(kFailedExit);  // the board has been told
  const Told good = {};
  if (::write(tell, &good, sizeof(good)) != sizeof(good)) ::_exit(kFailedExit);
  // Pipes that this would keep open have other readers and writers.
  CloseAllBut(static_cast<unsigned>(std::min(tell, listen)),
              static_cast<unsigned>(std::max(tell, listen)));
  if (!Hear(listen)) ::_exit(kFailedExit);
  ::prctl(PR_SET_PDEATHSIG, 0);
  [[maybe_unused]] const ssize_t told = ::write(tell, "", 1);
  ::close_range(3, ~0U, 0);
  LookAfter(root);
}

// The caller's user and group, in a user namespace that he has just made. 0, or an errno.
int MapUsers(pid_t first) {
  const auto write = [first](absl::string_view name, const std::string& text) {
    const UniqueFd file(::open(ProcPath(first, name).c_str(), O_WRONLY | O_CLOEXEC));
    const bool written = file.valid() && ::write(file.get(), text.data(), text.size()) ==
                                             static_cast<ssize_t>(text.size());
    return written ? 0 : errno;
  };
  const auto own = [](unsigned id) { return absl::StrCat(id, " ", id, " 1"); };
  if (const int error = write("setgroups", "deny"); error != 0) return error;
  if (const int error = write("uid_map", own(::geteuid())); error != 0) return error;
  return write("gid_map", own(::getegid()));
}

uint64_t FlagsFor(UserNamespace user) {
  return CLONE_NEWPID | CLONE_NEWNS | (user == UserNamespace::kOwn ? CLONE_NEWUSER : 0);
}

}  // namespace

void NamespaceRoot::LetLive() {
  char word;
  if (::write(tell.get(), "", 1) != 1) return;  // it has died, and all with it
  [[maybe_unused]] const ssize_t heard = ::read(listen.get(), &word, 1);
  tell.reset();
  listen.reset();
}

const char* MountOwnProc() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return "mounts cannot be made private";
  }
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return "/proc cannot be mounted";
  }
  return nullptr;
}

int TryUserNamespace() {
  clone_args arguments = {};
  arguments.flags = FlagsFor(UserNamespace::kOwn);
  arguments.exit_signal = SIGCHLD;
  const long first = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (first < 0) return errno;
  if (first == 0) ::_exit(MountOwnProc() == nullptr ? 0 : errno);
  int status = 0;
  while (::waitpid(static_cast<pid_t>(first), &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
}

absl::StatusOr<NamespaceRoot> MakePidNamespace(pid_t pid, UserNamespace user,
                                               absl::FunctionRef<pid_t()> make) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "a pipe");
  NamespaceRoot made;
  made.listen.reset(ends[0]);
  UniqueFd its_tell(ends[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "a pipe");
  made.tell.reset(ends[1]);
  UniqueFd its_listen(ends[0]);
  clone_args arguments = {};
  arguments.flags = FlagsFor(user);
  arguments.exit_signal = SIGCHLD;
  const long first = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (first < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("task ", pid, ": a pid namespace cannot be made for it"));
  }
  if (first == 0) {
    made.tell.reset();
    BeFirst(its_tell.get(), its_listen.get(), user, make);
  }
  its_tell.reset();
  its_listen.reset();
  made.first = static_cast<pid_t>(first);
  Told told = {};
  if (user == UserNamespace::kOwn) {
    if (const int error = MapUsers(made.first); error != 0) {
      ::kill(made.first, SIGKILL);
      ::waitpid(made.first, nullptr, 0);
      return absl::ErrnoToStatus(error, "a user namespace: its users cannot be set");
    }
    [[maybe_unused]] const ssize_t went = ::write(made.tell.get(), "", 1);
  }
  const ssize_t got = ::read(made.listen.get(), &told, sizeof(told));
  absl::Status status;
  if (got != sizeof(told)) {
    status = absl::AbortedError("the root task cannot be made in a pid namespace");
  } else if (told.error != 0) {
    status = absl::ErrnoToStatus(told.error, absl::StrCat("a pid namespace: ", told.what));
  } else {
    const absl::StatusOr<std::optional<pid_t>> root =
        FindChild(made.first, static_cast<uint64_t>(pid));
    if (root.ok() && root->has_value()) {
      made.root = **root;
      return made;
    }
    status = root.ok() ? absl::AbortedError("the root task has died") : root.status();
  }
  ::kill(made.first, SIGKILL);
  ::waitpid(made.first, nullptr, 0);
  return status;
}

}  // namespace crfs
