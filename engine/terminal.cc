// SPDX-License-Identifier: Apache-2.0

#include "engine/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

// By numbers: descriptors of it that the caller has, then a pseudo-terminal's name.
std::string NameOf(int terminal) {
  unsigned encoded;
  if (::ioctl(terminal, TIOCGDEV, &encoded) != 0) return "";
  const unsigned major_number = encoded >> 8 & 0xfff;
  const unsigned minor_number = (encoded & 0xff) | (encoded >> 12 & 0xfff00);
  for (const int own : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status;
    if (::fstat(own, &status) == 0 && S_ISCHR(status.st_mode) &&
        status.st_rdev == makedev(major_number, minor_number)) {
      return absl::StrCat("/proc/self/fd/", own);
    }
  }
  constexpr unsigned kFirstPts = 136, kLastPts = 143, kMinors = 256;
  if (major_number < kFirstPts || major_number > kLastPts) return "";
  return absl::StrCat("/dev/pts/", (major_number - kFirstPts) * kMinors + minor_number);
}

UniqueFd OpenOwnTerminal() { return UniqueFd(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)); }

// From the background too: SIGTTOU is blocked meanwhile, which tcsetpgrp(3) takes for consent.
void SetForeground(int terminal, pid_t group) {
  sigset_t output, before;
  ::sigemptyset(&output);
  ::sigaddset(&output, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &output, &before);
  ::tcsetpgrp(terminal, group);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

std::optional<ForegroundGroup> ForegroundGroup::Give(pid_t task) {
  UniqueFd terminal = OpenOwnTerminal();
  if (!terminal.valid() || ::tcgetpgrp(terminal.get()) != ::getpgrp()) return std::nullopt;
  const pid_t group = ::getpgid(task);
  if (group <= 0 || group == ::getpgrp() || ::getsid(task) != ::getsid(0)) return std::nullopt;
  SetForeground(terminal.get(), group);
  return ForegroundGroup(std::move(terminal), group);
}

ForegroundGroup::~ForegroundGroup() {
  if (terminal_.valid()) TakeForeground(group_);
}

void TakeForeground(pid_t group) {
  const UniqueFd terminal = OpenOwnTerminal();
  if (!terminal.valid()) return;
  const pid_t there = ::tcgetpgrp(terminal.get());
  if (there == ::getpgrp() || (there != group && ::kill(-there, 0) == 0)) return;
  SetForeground(terminal.get(), ::getpgrp());
}

UniqueFd OpenControllingTerminal(int flags) {
  UniqueFd own = OpenOwnTerminal();
  if (!own.valid()) return own;
  const std::string name = NameOf(own.get());
  UniqueFd named;
  if (!name.empty()) named = UniqueFd(::open(name.c_str(), flags | O_NOCTTY | O_CLOEXEC));
  if (named.valid()) return named;
  return UniqueFd(::open("/dev/tty", flags | O_NOCTTY | O_CLOEXEC));
}

bool HasTerminal() { return OpenOwnTerminal().valid(); }

}  // namespace crfs
