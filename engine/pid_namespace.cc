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

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
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

[[noreturn]] void BeFirst(int tell, absl::FunctionRef<pid_t()> make) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const char* what = MountOwnProc(); what != nullptr) Tell(tell, what, errno);
  const pid_t root = make();
  if (root < 0) ::_exit(kFailedExit);  // the board has been told
  const Told good = {};
  if (::write(tell, &good, sizeof(good)) != sizeof(good)) ::_exit(kFailedExit);
  // Pipes that this would keep open have other readers and writers.
  ::close_range(3, ~0U, 0);
  LookAfter(root);
}

// The pid of the only child: nobody else is there yet.
absl::StatusOr<pid_t> OnlyChild(pid_t first) {
  const absl::StatusOr<std::vector<pid_t>> children = ListChildren(first);
  if (!children.ok()) return children.status();
  if (children->size() != 1) return absl::AbortedError("the root task has died");
  return children->front();
}

}  // namespace

const char* MountOwnProc() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return "mounts cannot be made private";
  }
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return "/proc cannot be mounted";
  }
  return nullptr;
}

absl::StatusOr<NamespaceRoot> MakePidNamespace(pid_t pid, absl::FunctionRef<pid_t()> make) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "a pipe");
  const UniqueFd listen(ends[0]);
  UniqueFd tell(ends[1]);
  clone_args arguments = {};
  arguments.flags = CLONE_NEWPID | CLONE_NEWNS;
  arguments.exit_signal = SIGCHLD;
  const long first = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (first < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("task ", pid, ": a pid namespace cannot be made for it"));
  }
  if (first == 0) BeFirst(tell.get(), make);
  tell.reset();
  Told told = {};
  const ssize_t got = ::read(listen.get(), &told, sizeof(told));
  NamespaceRoot made = {.first = static_cast<pid_t>(first), .root = 0};
  if (got == sizeof(told) && told.error == 0) {
    const absl::StatusOr<pid_t> root = OnlyChild(made.first);
    if (root.ok()) {
      made.root = *root;
      return made;
    }
  }
  ::kill(made.first, SIGKILL);
  ::waitpid(made.first, nullptr, 0);
  if (got == sizeof(told)) {
    return absl::ErrnoToStatus(told.error, absl::StrCat("a pid namespace: ", told.what));
  }
  return absl::AbortedError("the root task cannot be made in a pid namespace");
}

}  // namespace crfs
