// SPDX-License-Identifier: Apache-2.0

#include "tests/mount/command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "index/unique_fd.h"

extern char** environ;

namespace crfs {
namespace {

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

Pipe MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Reads both to their ends.
void ReadBoth(int out, int err, CommandResult& result) {
  pollfd ends[] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
  std::string* const texts[] = {&result.out, &result.err};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (::poll(ends, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t got = ::read(ends[i].fd, buffer, sizeof(buffer));
      if (got <= 0) {
        ends[i].fd = -1;
      } else {
        texts[i]->append(buffer, static_cast<size_t>(got));
      }
    }
  }
}

}  // namespace

CommandResult RunScript(const std::string& script, int seconds) {
  const std::string whole =
      absl::StrCat("crfs() { \"${CRFS:?the program under test}\" \"$@\"; }\n", script);
  const std::string limit = absl::StrCat(seconds);
  const char* const arguments[] = {"timeout", "-k", "5",           limit.c_str(),
                                   "bash",    "-c", whole.c_str(), nullptr};
  Pipe out = MakePipe();
  Pipe err = MakePipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.writer.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.writer.get(), STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0], &actions, nullptr,
                                   const_cast<char* const*>(arguments), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("timeout(1) cannot be run");
  out.writer.reset();
  err.writer.reset();
  CommandResult result;
  ReadBoth(out.reader.get(), err.reader.get(), result);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

namespace {

testing::AssertionResult Judge(const std::string& script, const CommandResult& result, bool good) {
  if (good) return testing::AssertionSuccess();
  return testing::AssertionFailure() << script << "\nexited with " << result.status << "\n"
                                     << result.out.substr(0, 4000) << result.err.substr(0, 4000);
}

}  // namespace

testing::AssertionResult Succeeds(const std::string& script, int seconds) {
  const CommandResult result = RunScript(script, seconds);
  return Judge(script, result, result.status == 0);
}

testing::AssertionResult PrintsNothing(const std::string& script) {
  const CommandResult result = RunScript(script);
  return Judge(script, result, result.status == 0 && result.out.empty());
}

bool HasProgram(const std::string& name) {
  if (RunScript(absl::StrCat("command -v ", name)).status == 0) return true;
  std::cerr << "LEFT OUT: " << name << " is not installed here\n";
  return false;
}

}  // namespace crfs
