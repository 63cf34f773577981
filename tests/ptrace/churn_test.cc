// SPDX-License-Identifier: Apache-2.0
//
// Programs that change all the time while they are checkpointed.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "tests/ptrace/program.h"

namespace crfs {
namespace {

Board* g_board;

void Count(int, siginfo_t* info, void*) {
  // Queued signals of one number come in their order, each once.
  if (info->si_value.sival_int != g_board->value[0]) g_board->wrong = 1;
  ++g_board->value[0];
}

TEST(Churn, NoSignalIsLostOrSeenTwice) {
  constexpr int kRounds = 12, kSignals = 400;
  Program program([](Board& board) {
    g_board = &board;
    struct sigaction action = {};
    action.sa_sigaction = Count;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(SIGRTMIN + 3, &action, nullptr);
    ++board.ready;
    uint64_t sum = 0;
    while (board.go == 0) {
      for (int i = 0; i < 1000; ++i) sum += static_cast<uint64_t>(i);
      if (sum % 7 == 0) ::sched_yield();
      ++board.value[1];
    }
  });
  int sent = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::thread sender([&] {
      for (int i = 0; i < kSignals; ++i) {
        sigval value = {};
        value.sival_int = sent++;
        while (::sigqueue(program.pid(), SIGRTMIN + 3, value) != 0 && errno == EAGAIN) {
        }
        if (i % 8 == 0) ::usleep(200);
      }
    });
    const LoadedCheckpoint saved = program.Save();
    EXPECT_EQ(saved.Ids("thread").size(), 1U);
    // What is pending is what had been sent and not been handled.
    sender.join();
  }
  EXPECT_TRUE(Eventually([&] { return program.board().value[0] == sent; }))
      << program.board().value[0] << " of " << sent;
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Churn, ThreadsAndChildrenComeAndGo) {
  constexpr int kRounds = 12;
  Program program([](Board& board) {
    std::thread threads([&board] {
      while (board.go == 0) {
        std::thread([&board] { ++board.value[0]; }).join();
      }
    });
    std::thread children([&board] {
      while (board.go == 0) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(9);
        int status;
        if (::waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 9) board.wrong = 1;
        ++board.value[1];
      }
    });
    ++board.ready;
    threads.join();
    children.join();
  });
  for (int round = 0; round < kRounds; ++round) {
    const LoadedCheckpoint saved = program.Save();
    EXPECT_GE(saved.Ids("thread").size(), 3U);
    for (const int which : {0, 1}) {
      const int64_t before = program.board().value[which];
      EXPECT_TRUE(Eventually([&] { return program.board().value[which] > before + 3; }));
    }
  }
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

// A program that is killed while it is being saved, or just before: no image, no hang.
TEST(Churn, TheProgramMayDie) {
  for (int round = 0; round < 20; ++round) {
    Program program([](Board& board) {
      ++board.ready;
      for (;;) ::pause();
    });
    std::thread killer([&] {
      ::usleep(static_cast<useconds_t>(round) * 1500);
      ::kill(program.pid(), SIGKILL);
    });
    const absl::Status status = Program::Try(program.pid()).status();
    killer.join();
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status) || absl::IsDataLoss(status) ||
                absl::IsFailedPrecondition(status))
        << status;
  }
}

}  // namespace
}  // namespace crfs
