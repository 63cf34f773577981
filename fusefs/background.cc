// SPDX-License-Identifier: Apache-2.0

#include "fusefs/background.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "fusefs/log.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// What the child tells its parent: one byte, the code of a status (0: ready), then its
// message, up to the end of the pipe.

void Tell(int pipe, const absl::Status& status) {
  std::string text(1, static_cast<char>(status.raw_code()));
  absl::StrAppend(&text, status.message());
  absl::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(pipe, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;  // the parent was killed: nobody waits any more
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

std::string ReadAll(int pipe) {
  std::string text;
  char buffer[512];
  for (;;) {
    const ssize_t got = ::read(pipe, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

void BecomeDaemon() {
  ::setsid();
  LogToSyslog();
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

absl::Status ErrorOfSystem(absl::string_view what) {
  return absl::ResourceExhaustedError(absl::StrCat(what, ": ", std::strerror(errno)));
}

int RunChild(UniqueFd pipe,
             absl::FunctionRef<absl::Status(const std::function<void()>& ready)> serve) {
  ::signal(SIGPIPE, SIG_IGN);
  absl::Status status;
  try {
    if (::chdir("/") != 0) return Tell(pipe.get(), ErrorOfSystem("/")), 1;
    status = serve([&pipe] {
      BecomeDaemon();
      Tell(pipe.get(), absl::OkStatus());
      pipe.reset();
    });
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  if (status.ok()) return 0;
  if (pipe.valid()) {
    Tell(pipe.get(), status);
  } else {
    LogError(status.message());
  }
  return 1;
}

absl::Status WaitForChild(pid_t child, int pipe) {
  const std::string told = ReadAll(pipe);
  if (!told.empty() && told[0] == 0) return absl::OkStatus();
  int result = 0;
  while (::waitpid(child, &result, 0) < 0 && errno == EINTR) {
  }
  if (!told.empty()) {
    return absl::Status(static_cast<absl::StatusCode>(told[0]), told.substr(1));
  }
  return absl::InternalError(
      WIFSIGNALED(result) ? absl::StrCat("ended by signal ", WTERMSIG(result), " (",
                                         ::strsignal(WTERMSIG(result)), ") before it was mounted")
                          : "ended before it was mounted");
}

}  // namespace

absl::Status RunInBackground(
    absl::FunctionRef<absl::Status(const std::function<void()>& ready)> serve) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrorOfSystem("pipe");
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return ErrorOfSystem("fork");
  if (child == 0) {
    reader.reset();
    const int status = RunChild(std::move(writer), serve);
    // Not by return: what the caller does after this is the parent's.
    std::exit(status);
  }
  writer.reset();
  return WaitForChild(child, reader.get());
}

}  // namespace crfs
