// SPDX-License-Identifier: Apache-2.0
//
// crfs dies while a program saves itself, whenever that is: the program is told, or has its image.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "tests/lib/image.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

constexpr int kRounds = kSanitized ? 15 : 100;
constexpr char kName[] = "crfs-lib-kill";

// The process that saves the image: the only one with that argument.
pid_t FindCrfs(const char* image) {
  for (const pid_t pid : ProcessesNamed("crfs")) {
    const std::string line = ReadProcFile(ProcPath(pid, "cmdline")).value_or("");
    if (absl::StrContains(line, absl::StrCat("--output=", image))) return pid;
  }
  return 0;
}

TEST(Killed, CrfsIsNotWaitedForInVain) {
  const ImagePath image;
  Program program([&](Board& board) {
    ::prctl(PR_SET_NAME, kName);
    std::string large(16 << 20, 'x');
    std::thread other([&board] {
      while (board.go == 0) {
        if (::usleep(200) != 0) board.wrong = 1;
        ++board.value[1];
      }
    });
    ++board.ready;
    while (board.go == 0) {
      ::unlink(image.c_str());
      int result = crfs_checkpoint_self(image.c_str(), nullptr);
      if (result == 0) result = crfs_checkpoint_wait(-1, nullptr, 0);
      if (result == 0 ? ::access(image.c_str(), F_OK) != 0 : errno != ECANCELED) {
        board.wrong = 1000 + errno;
      }
      ++board.value[result == 0 ? 2 : 3];
      ++board.value[0];
    }
    other.join();
    if (::waitpid(-1, nullptr, __WALL) != -1 || errno != ECHILD) board.wrong = 2;
  });
  std::mt19937 random(20240608);
  const Board& board = program.board();
  for (int round = 0; round < kRounds; ++round) {
    pid_t crfs = 0;
    ASSERT_TRUE(Eventually([&] { return (crfs = FindCrfs(image.c_str())) != 0; }));
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 120'000)(random));
    const int64_t before = board.value[0];
    ::kill(crfs, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return board.value[0] > before; })) << "round " << round;
    const int64_t turns = board.value[1];
    ASSERT_TRUE(Eventually([&] { return board.value[1] > turns; })) << "round " << round;
    ASSERT_EQ(board.wrong, 0) << "round " << round;
  }
  EXPECT_GT(board.value[3], kRounds / 4) << "crfs was hardly ever killed in time";
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(board.wrong, 0);
  EXPECT_TRUE(Eventually([&] { return ProcessesNamed(kName).empty(); })) << "a copy is left";
  std::printf("%d images, %d times killed\n", static_cast<int>(board.value[2]),
              static_cast<int>(board.value[3]));
}

}  // namespace
}  // namespace crfs
