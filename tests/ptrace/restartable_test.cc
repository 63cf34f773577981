// SPDX-License-Identifier: Apache-2.0
//
// What a restart asks of a checkpoint (engine/restart_check.h) holds for those of this engine, too.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/restart_caller.h"
#include "engine/restart_check.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

void Ignore(int) {}

// Threads in all kinds of sleeps, a child, a zombie, timers, signals, memory of each kind.
void HaveAll(Board& board) {
  const itimerval timer = {{1, 0}, {1000, 0}};
  ::setitimer(ITIMER_REAL, &timer, nullptr);
  ::signal(SIGUSR1, Ignore);
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(2);
  void* shared =
      ::mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::memset(shared, 7, 1 << 12);
  if (::fork() == 0) ::_exit(0);
  if (::fork() == 0) {
    for (;;) ::pause();
  }
  std::vector<std::thread> threads;
  static uint32_t word = 1;
  threads.emplace_back([] {
    timespec span = {1000, 0};
    ::nanosleep(&span, nullptr);
  });
  threads.emplace_back([] {
    timespec span = {1000, 0};
    ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &span);
  });
  threads.emplace_back([] { ::poll(nullptr, 0, 1'000'000); });
  threads.emplace_back([&ends] {
    char byte;
    [[maybe_unused]] const ssize_t got = ::read(ends[0], &byte, 1);
  });
  ++board.ready;
  for (;;) ::pause();
}

TEST(Restartable, IsWhatWasSaved) {
  Problems problems;
  std::optional<LoadedCheckpoint> saved;
  {
    Program program(HaveAll);
    ::usleep(100'000);
    saved.emplace(program.Save());
  }
  EXPECT_EQ(saved->Ids("task").size(), 3U);
  EXPECT_EQ(saved->Owned("thread", 1).size(), 5U);
  RestartOptions options;
  options.pid_namespace = true;  // its own processes may not be gone yet
  const Caller caller = DescribeCaller();
  const Machine machine = DescribeHost();
  const RestartCheck check(*saved, options, caller, machine, problems);
  CheckValues(check);
  CheckMappings(check);
  CheckExtendedState(check);
  CheckFiles(check);
  CheckPids(check);
  if (::geteuid() == 0) CheckRights(check);
  // The test's own descriptors may be of any kind, which CheckStates does not look at.
  CheckStates(check);
  EXPECT_THAT(problems, ::testing::IsEmpty());
}

}  // namespace
}  // namespace crfs
