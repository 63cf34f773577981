// SPDX-License-Identifier: Apache-2.0
//
// Staying with a restarted program until it ends.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/restart.h"
#include "engine/terminal.h"

namespace crfs {
namespace {

constexpr int kPassedOn[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};

class Waiter {
 public:
  Waiter(const Restarted& restarted, const Meanwhile& meanwhile)
      : restarted_(restarted), meanwhile_(meanwhile), due_(absl::Now() + meanwhile.every) {
    ::sigemptyset(&watched_);
    for (const int signal : kPassedOn) ::sigaddset(&watched_, signal);
    for (const int signal : {SIGCHLD, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU}) {
      ::sigaddset(&watched_, signal);
    }
    restarted_.signals->LimitTo(watched_);
  }
  ~Waiter() { TakeForeground(group_); }

  absl::StatusOr<int> Wait() {
    for (;;) {
      int status;
      const pid_t changed = ::waitpid(restarted_.child, &status, WNOHANG | WUNTRACED | __WALL);
      if (changed < 0 && errno != EINTR) {
        return absl::ErrnoToStatus(
            errno, absl::StrCat("task ", restarted_.root, ": cannot be waited for"));
      }
      if (changed > 0 && WIFEXITED(status)) return WEXITSTATUS(status);
      if (changed > 0 && WIFSIGNALED(status)) return 128 + WTERMSIG(status);
      if (changed > 0 && WIFSTOPPED(status)) StopToo();
      siginfo_t info;
      const timespec left = absl::ToTimespec(std::max(due_ - absl::Now(), absl::ZeroDuration()));
      const int signal = ::sigtimedwait(&watched_, &info, due_ < kNever ? &left : nullptr);
      if (signal > 0) PassOn(signal, info);
      if (signal < 0 && errno == EAGAIN) Act();
    }
  }

 private:
  static constexpr absl::Time kNever = absl::InfiniteFuture();

  void Act() {
    meanwhile_.act();
    while (due_ <= absl::Now()) due_ += meanwhile_.every;
  }

  // What the terminal sends to the caller's group it has sent to the program as well, if that is
  // in the same group.
  void PassOn(int signal, const siginfo_t& info) const {
    if (signal == SIGCHLD || signal == SIGTTIN || signal == SIGTTOU) return;
    const bool got_it = info.si_code == SI_KERNEL && ::getpgid(restarted_.child) == ::getpgrp();
    if (got_it) return;
    ::kill(restarted_.child, signal);
  }

  // To a shell the two are one job: who looks at a terminal gets it back, and fg(1) lets both go
  // on.
  void StopToo() const {
    if (!HasTerminal()) return;
    TakeForeground(group_);
    ::raise(SIGSTOP);
    std::optional<ForegroundGroup> given = ForegroundGroup::Give(restarted_.child);
    if (given.has_value()) given->Keep();
    ::kill(restarted_.child, SIGCONT);
  }

  const Restarted& restarted_;
  const Meanwhile& meanwhile_;
  absl::Time due_;                                   // when to act
  const pid_t group_ = ::getpgid(restarted_.child);  // as long as it lives
  sigset_t watched_;
};

}  // namespace

absl::StatusOr<int> AwaitEnd(const Restarted& restarted) {
  return AwaitEnd(restarted, {.every = absl::InfiniteDuration(), .act = nullptr});
}

absl::StatusOr<int> AwaitEnd(const Restarted& restarted, const Meanwhile& meanwhile) {
  return Waiter(restarted, meanwhile).Wait();
}

}  // namespace crfs
