// SPDX-License-Identifier: Apache-2.0
//
// crfs dies while it takes a checkpoint, whenever that is: the program runs on and is right.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/proc_file.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

constexpr int kRounds = kSanitized ? 20 : 150;
constexpr int kKinds = 5;
// At most 15 letters; another run of these tests has others.
const std::string& Name() {
  static const std::string name = "kill-" + std::to_string(::getpid());
  return name;
}

void Nothing(int) {}

// One turn of each kind of thread; whether it saw what it should.
bool Turn(int kind, int end, int set) {
  timespec span = {0, 2'000'000};
  pollfd nothing = {end, POLLIN, 0};
  epoll_event event;
  switch (kind) {
    case 0:
      return ::nanosleep(&span, &span) == 0;
    case 1:
      return ::poll(&nothing, 1, 2) == 0;
    case 2:
      return ::epoll_wait(set, &event, 1, 2) == 0;
    case 3: {
      double sum = 0;
      for (int k = 1; k <= 20'000; ++k) sum += 1.0 / k;
      return sum > 10.480728 && sum < 10.480729;
    }
    default: {
      fd_set ends;
      FD_ZERO(&ends);
      FD_SET(end, &ends);
      timeval time = {0, 2'000};
      return ::select(end + 1, &ends, nullptr, nullptr, &time) == 0;
    }
  }
}

pid_t StartCheckpoint(pid_t pid, const char* option) {
  const pid_t crfs = ::fork();
  if (crfs != 0) return crfs;
  const std::string target = std::to_string(pid);
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
  ::execl(std::getenv("CRFS"), "crfs", "checkpoint", target.c_str(), "-o", "-", "--inspect",
          "--engine", "ptrace", option, nullptr);
  ::_exit(127);
}

// `option`: of crfs checkpoint, or nullptr. `reaper`: the program is one of orphans.
void ExpectAsItWas(const char* option, bool reaper) {
  ASSERT_NE(std::getenv("CRFS"), nullptr);
  Name();  // the program is named like this process
  Program program(
      [reaper](Board& board) {
        ::prctl(PR_SET_CHILD_SUBREAPER, reaper);
        ::prctl(PR_SET_NAME, Name().c_str());
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) ::_exit(2);
        ::signal(SIGUSR1, Nothing);
        std::vector<std::thread> threads;
        for (int kind = 0; kind < kKinds; ++kind) {
          threads.emplace_back([&board, kind, end = ends[0]] {
            int set = -1;
            if (kind == 2) {
              set = ::epoll_create1(EPOLL_CLOEXEC);
              epoll_event event = {EPOLLIN, {}};
              ::epoll_ctl(set, EPOLL_CTL_ADD, end, &event);
            }
            ++board.ready;
            while (board.go == 0) {
              errno = 0;
              if (!Turn(kind, end, set)) board.wrong = 1000 * (kind + 1) + errno;
              ++board.value[kind];
            }
          });
        }
        for (std::thread& thread : threads) thread.join();
        // No copy of it is its child, nor was one left as a zombie.
        if (::waitpid(-1, nullptr, __WALL | WNOHANG) != -1 || errno != ECHILD) board.wrong = 1;
      },
      kKinds);
  const std::string blocked = StatusLine(program.pid(), "SigBlk");
  ASSERT_EQ(ProcessesNamed(Name()), std::vector<pid_t>{program.pid()});
  const std::string maps = ReadProcFile(ProcPath(program.pid(), "maps")).value_or("");
  std::mt19937 random(20240607);
  int cut = 0;
  for (int round = 0; round < kRounds; ++round) {
    const pid_t crfs = StartCheckpoint(program.pid(), option);
    ::usleep(std::uniform_int_distribution<useconds_t>(0, kSanitized ? 600'000 : 80'000)(random));
    ::kill(crfs, SIGKILL);
    int status;
    ASSERT_EQ(::waitpid(crfs, &status, 0), crfs);
    cut += WIFSIGNALED(status);
    ASSERT_TRUE(Eventually([&] { return StatusLine(program.pid(), "TracerPid") == "0"; }))
        << "round " << round;
    for (int kind = 0; kind < kKinds; ++kind) {
      const int64_t before = program.board().value[kind];
      ASSERT_TRUE(Eventually([&] { return program.board().value[kind] > before; }))
          << "round " << round << ": thread " << kind << " stands";
    }
    ASSERT_EQ(program.board().wrong, 0) << "round " << round;
    ASSERT_EQ(StatusLine(program.pid(), "SigBlk"), blocked);
    ASSERT_TRUE(Eventually([&] { return ProcessesNamed(Name()).size() == 1; })) << "a copy is left";
  }
  EXPECT_GT(cut, kRounds / 4) << "crfs was hardly ever killed in time";
  EXPECT_EQ(ReadProcFile(ProcPath(program.pid(), "maps")).value_or(""), maps);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Killed, CrfsLeavesTheProgramAsItWas) { ExpectAsItWas(nullptr, false); }
TEST(Killed, CrfsLeavesNoCopy) { ExpectAsItWas("--fork", false); }
TEST(Killed, CrfsLeavesNoCopyWithWhoReapsOrphans) { ExpectAsItWas("--fork", true); }

}  // namespace
}  // namespace crfs
