// SPDX-License-Identifier: Apache-2.0
//
// The programs of docs/examples, as somebody else would run them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "tests/lib/image.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

// Runs a command apart from this test, with a file to print to, until it has printed a line that
// begins with `last`, and kills it. What it has printed.
std::string OutputOf(const std::string& command, const std::string& last) {
  char file[] = "/tmp/crfs-example-XXXXXX";
  const int said = ::mkstemp(file);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(said, STDOUT_FILENO);
    ::dup2(said, STDERR_FILENO);
    ::close_range(3, ~0U, 0);
    ::execl("/bin/sh", "sh", "-c", absl::StrCat("exec ", command).c_str(), nullptr);
    ::_exit(127);
  }
  std::string output;
  EXPECT_TRUE(Eventually([&] {
    output = ReadProcFile(file).value_or("");
    return output.find(absl::StrCat("\n", last)) != std::string::npos || StateOf(pid) == 'Z';
  })) << output;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(said);
  ::unlink(file);
  return output;
}

TEST(Examples, InC) {
  const ImagePath image;
  const std::string said = OutputOf(absl::StrCat(CRFS_EXAMPLE, " ", image.c_str()), "saved");
  EXPECT_NE(said.find("goes on after"), std::string::npos) << said;
  EXPECT_NE(said.find("saved\n"), std::string::npos) << said;
  EXPECT_EQ(image.Load().Ids("thread").size(), 4U);
}

TEST(Examples, InPython) {
  const ImagePath image;
  const std::string said =
      OutputOf(absl::StrCat("env LD_LIBRARY_PATH=", CRFS_LIBRARY_DIR, " python3 ", CRFS_TESTS_DIR,
                            "/../docs/examples/self_checkpoint.py ", image.c_str()),
               "saved");
  EXPECT_NE(said.find("0\nsaved\n"), std::string::npos) << said;
  EXPECT_EQ(image.Load().Ids("task").size(), 1U);
}

}  // namespace
}  // namespace crfs
