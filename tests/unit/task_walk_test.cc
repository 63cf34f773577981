// SPDX-License-Identifier: Apache-2.0

#include "engine/task_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "engine/proc_file.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A child of the test that only waits, and is ended with it.
class Child {
 public:
  // `run` is what the child does first.
  explicit Child(void (*run)() = [] {}) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      run();
      [[maybe_unused]] const ssize_t put = ::write(ready[1], "", 1);
      for (;;) ::pause();
    }
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

void ForkSleeper() {
  if (::fork() == 0) {
    for (;;) ::pause();
  }
}

void ForkZombie() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(3);
  siginfo_t ignored;
  ::waitid(P_PID, static_cast<id_t>(child), &ignored, WEXITED | WNOWAIT);
}

TEST(TaskWalkTest, ParentsComeBeforeChildren) {
  const Child child([] {
    ForkSleeper();
    ForkSleeper();
  });
  std::vector<pid_t> frozen;
  const auto tasks = FreezeTree(child.pid(), [&](pid_t pid, bool zombie) {
    EXPECT_FALSE(zombie);
    frozen.push_back(pid);
    return absl::OkStatus();
  });
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  EXPECT_EQ(*tasks, frozen);
  ASSERT_EQ(frozen.size(), 3u);
  EXPECT_EQ(frozen[0], child.pid());
  EXPECT_LT(frozen[1], frozen[2]);
}

TEST(TaskWalkTest, ZombiesAreKnown) {
  const Child child(ForkZombie);
  std::vector<bool> zombies;
  const auto tasks = FreezeTree(child.pid(), [&](pid_t, bool zombie) {
    zombies.push_back(zombie);
    return absl::OkStatus();
  });
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  EXPECT_THAT(zombies, ElementsAre(false, true));
}

TEST(TaskWalkTest, ChildThatIsGoneIsLeftOut) {
  const Child child(ForkSleeper);
  const auto tasks = FreezeTree(child.pid(), [&](pid_t pid, bool) {
    return pid == child.pid() ? absl::OkStatus() : absl::NotFoundError("gone");
  });
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  EXPECT_THAT(*tasks, ElementsAre(child.pid()));
}

TEST(TaskWalkTest, ErrorEndsTheWalk) {
  const Child child(ForkSleeper);
  const auto tasks = FreezeTree(child.pid(), [&](pid_t pid, bool) {
    return pid == child.pid() ? absl::OkStatus() : absl::PermissionDeniedError("no");
  });
  EXPECT_TRUE(absl::IsPermissionDenied(tasks.status()));
}

TEST(TaskWalkTest, RootMustBeAProgramThatRuns) {
  const auto never = [](pid_t, bool) { return absl::InternalError("called"); };
  EXPECT_TRUE(absl::IsNotFound(FreezeTree(0x3fffff, never).status()));
  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(0);
  siginfo_t ignored;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &ignored, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(std::string(FreezeTree(zombie, never).status().message()), HasSubstr("is a zombie"));
  ::waitpid(zombie, nullptr, 0);
}

}  // namespace
}  // namespace crfs
