// SPDX-License-Identifier: Apache-2.0
//
// A container saves itself: from a task in it, from its first task, and by the command line.

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "tests/lib/image.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

// Calls `first` in the first task of a new pid namespace, whose /proc is there, and returns its
// exit status, -1 if it was killed.
int RunContainer(const std::function<int()>& first) {
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 90;
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool made = ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
    ::_exit(made ? first() : 91);
  }
  int status;
  if (::waitpid(pid, &status, 0) != pid) return 92;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int SaveNamespace(const char* image) {
  Options options;
  options.scope = CRFS_SCOPE_NAMESPACE;
  int result = crfs_checkpoint_self(image, &options);
  if (result == 0) result = crfs_checkpoint_wait(-1, options.words, sizeof(options.words));
  if (result == 0) return 0;
  std::fprintf(stderr, "%s\n", options.words);
  return 93;
}

std::set<std::string> Tasks(const LoadedCheckpoint& saved) {
  std::set<std::string> tasks;
  for (const uint64_t id : saved.Ids("task")) {
    const ObjectView task = saved.Get("task", id);
    const ObjectView thread = saved.Get("thread", saved.Owned("thread", id)[0]);
    tasks.insert(absl::StrCat(task.Number("ppid"), "-", task.Number("pid"), " ",
                              absl::string_view(thread.Bytes("comm"))));
  }
  return tasks;
}

class Container : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes root to make a namespace";
  }
};

TEST_F(Container, SavesItselfFromATaskInIt) {
  const ImagePath image;
  Program program([&](Board& board) {
    board.wrong = RunContainer([&] {
      const pid_t sleeper = ::fork();
      while (sleeper == 0) ::pause();
      const pid_t asker = ::fork();
      if (asker == 0) ::_exit(SaveNamespace(image.c_str()));
      int status;
      if (::waitpid(asker, &status, 0) != asker) return 94;
      ::kill(sleeper, SIGKILL);
      // What comes to the first task is crfs, an orphan, and no copy.
      int orphans = 0;
      while (::waitpid(-1, nullptr, __WALL) > 0) ++orphans;
      return orphans == 2 ? WEXITSTATUS(status) : 95;
    });
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
  EXPECT_EQ(Tasks(image.Load()),
            (std::set<std::string>{"0-1 lib_tests", "1-2 lib_tests", "1-3 lib_tests"}));
}

TEST_F(Container, SavesItselfFromItsFirstTask) {
  const ImagePath image;
  Program program([&](Board& board) {
    board.wrong = RunContainer([&] {
      const pid_t sleeper = ::fork();
      while (sleeper == 0) ::pause();
      const int result = SaveNamespace(image.c_str());
      ::kill(sleeper, SIGKILL);
      int orphans = 0;
      while (::waitpid(-1, nullptr, __WALL) > 0) ++orphans;
      return orphans == 2 ? result : 95;
    });
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
  EXPECT_EQ(Tasks(image.Load()), (std::set<std::string>{"0-1 lib_tests", "1-2 lib_tests"}));
}

TEST_F(Container, IsSavedByACommandInIt) {
  for (const char* option : {"", "--fork"}) {
    const ImagePath image;
    const std::string command = absl::StrCat(
        "unshare --pid --fork --mount-proc sh -c 'sleep 1000 & \"$CRFS\" checkpoint 1 ", option,
        " -o ", image.c_str(), " && kill $!' </dev/null >/dev/null");
    ASSERT_EQ(std::system(command.c_str()), 0);
    const LoadedCheckpoint saved = image.Load();
    const ObjectView crfs = FindObject(saved, "task", "pid", 3);
    EXPECT_EQ(crfs.Number("state"), CRFS_state_zombie);
    EXPECT_EQ(crfs.Number("exit_code"), 0U);
    EXPECT_EQ(Tasks(saved), (std::set<std::string>{"0-1 sh", "1-2 sleep", "1-3 crfs"}));
  }
}

}  // namespace
}  // namespace crfs
