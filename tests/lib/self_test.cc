// SPDX-License-Identifier: Apache-2.0
//
// Programs that save themselves and go on.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "lib/request.h"
#include "tests/lib/image.h"
#include "tests/ptrace/program.h"

namespace crfs {
namespace {

// 0, or what went wrong: where, and errno.
int SaveSelf(const char* image) {
  Options options;
  const int begun = crfs_checkpoint_self(image, &options);
  if (begun != 0) {
    std::fprintf(stderr, "self: %s\n", options.words);
    return 1000 + errno;
  }
  const int result = crfs_checkpoint_wait(-1, options.words, sizeof(options.words));
  if (result != 0) {
    std::fprintf(stderr, "wait: %s\n", options.words);
    return 2000 + errno;
  }
  return 0;
}

TEST(Self, GoesOnWithZero) {
  const ImagePath image;
  Program program([&](Board& board) {
    board.wrong = SaveSelf(image.c_str());
    if (board.wrong == 0) board.wrong = SaveSelf(image.c_str());  // and another one
    if (::waitpid(-1, nullptr, __WALL) != -1 || errno != ECHILD) board.wrong = 1;
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
  const LoadedCheckpoint saved = image.Load();
  EXPECT_EQ(saved.Ids("task").size(), 1U);
  EXPECT_EQ(saved.Ids("thread").size(), 1U);
}

TEST(Self, SavesAllThreadsAndChildrenAtOneMoment) {
  constexpr int kThreads = 4;
  const ImagePath image;
  Program program([&](Board& board) {
    std::string large(64 << 20, 'x');
    static volatile int64_t turns[2];
    board.value[10] = reinterpret_cast<int64_t>(&turns);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&board, i] {
        while (board.go == 0) {
          if (i == 0) {
            turns[0] = turns[0] + 1;
            turns[1] = turns[0];
            board.value[0] = turns[0];
          } else if (::usleep(100) != 0) {
            board.wrong = errno;
          }
          ++board.value[i];
        }
      });
    }
    const pid_t child = ::fork();
    while (child == 0) ::pause();
    const auto begin = std::chrono::steady_clock::now();
    Options options;
    if (crfs_checkpoint_self(image.c_str(), &options) != 0) board.wrong = errno;
    const std::chrono::duration<double, std::milli> stood =
        std::chrono::steady_clock::now() - begin;
    board.value[11] = board.value[0].load();
    if (crfs_checkpoint_wait(-1, nullptr, 0) != 0) board.wrong = errno;
    const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - begin;
    std::fprintf(stderr, "16 MiB, %d threads: the caller waited %.1f ms, the image took %.1f ms\n",
                 kThreads + 1, stood.count(), all.count());
    ++board.ready;
    for (std::thread& thread : threads) thread.join();
    ::kill(child, SIGKILL);
    if (::waitpid(-1, nullptr, 0) != child) board.wrong = 1;
  });
  for (int i = 0; i < kThreads; ++i) {
    const int64_t before = program.board().value[i];
    EXPECT_TRUE(Eventually([&] { return program.board().value[i] > before; })) << "thread " << i;
  }
  const LoadedCheckpoint saved = image.Load();
  EXPECT_EQ(saved.Ids("task").size(), 2U);
  EXPECT_EQ(saved.Ids("thread").size(), kThreads + 2U);
  int64_t turns[2];
  const std::string bytes = MemoryAt(
      saved, program.pid(), static_cast<uint64_t>(program.board().value[10].load()), sizeof(turns));
  std::memcpy(turns, bytes.data(), sizeof(turns));
  EXPECT_GE(turns[0], turns[1]);
  EXPECT_LE(turns[0], turns[1] + 1);
  EXPECT_LE(turns[0], program.board().value[11]) << "the image is of later than the return";
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

// The program that goes on and the one that is in the image find different answers.
TEST(Self, IsToldInTheImageThatItWasRestarted) {
  const ImagePath image;
  Program program([&](Board& board) {
    board.wrong = SaveSelf(image.c_str());
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  const LoadedCheckpoint saved = image.Load();
  const uint32_t expected[] = {CRFS_REQUEST_RESTARTED, CRFS_REQUEST_MAGIC};
  const std::string_view wanted(reinterpret_cast<const char*>(expected), sizeof(expected));
  size_t found = 0;
  for (const uint64_t id : saved.Ids("vma")) {
    const absl::StatusOr<LoadedMemory> memory = saved.Memory(saved.Get("vma", id));
    ASSERT_TRUE(memory.ok());
    for (const LoadedExtent& extent : memory->extents) {
      std::string bytes(extent.length, '\0');
      ASSERT_EQ(
          ::pread(memory->fd, bytes.data(), bytes.size(), static_cast<off_t>(extent.file_offset)),
          static_cast<ssize_t>(bytes.size()));
      for (size_t at = 0; at < bytes.size(); at += 64) {
        found += std::string_view(bytes).substr(at, wanted.size()) == wanted;
      }
    }
  }
  EXPECT_EQ(found, 1U);
}

std::string g_called;
void Append(void* word) { g_called += static_cast<const char*>(word); }

TEST(Callbacks, ComeInTheOrderOfPthreadAtfork) {
  const ImagePath image;
  Program program([&](Board& board) {
    static char first[] = "1", second[] = "2", third[] = "3";
    crfs_checkpoint_callbacks(Append, Append, nullptr, first);
    crfs_checkpoint_callbacks(Append, nullptr, Append, second);
    crfs_checkpoint_callbacks(Append, Append, Append, third);
    board.wrong = SaveSelf(image.c_str());
    if (g_called != "32113") board.wrong = 1;
    g_called.clear();
    if (crfs_checkpoint_begin(image.c_str(), nullptr) != 0 || g_called != "321") board.wrong = 2;
    if (crfs_checkpoint_wait(-1, nullptr, 0) != 0 || g_called != "32113") board.wrong = 3;
    if (crfs_checkpoint_wait(-1, nullptr, 0) != 0 || g_called != "32113") board.wrong = 4;
    g_called.clear();
    if (crfs_checkpoint_self("/nonexistent/x", nullptr) != -1 || errno != ENOENT) board.wrong = 5;
    if (g_called != "32113") board.wrong = 6;
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

TEST(Begin, ReturnsAtOnceAndOneAtATime) {
  const ImagePath image;
  Program program([&](Board& board) {
    std::string large(64 << 20, 'x');
    if (crfs_checkpoint_wait(0, nullptr, 0) != -1 || errno != ECHILD) board.wrong = 1;
    if (crfs_checkpoint_begin(image.c_str(), nullptr) != 0) board.wrong = 2;
    Options other;
    if (crfs_checkpoint_self(image.c_str(), &other) != -1 || errno != EBUSY) board.wrong = 3;
    if (std::strlen(other.words) == 0) board.wrong = 4;
    if (crfs_checkpoint_wait(0, nullptr, 0) != -1 || errno != ETIMEDOUT) board.wrong = 5;
    // Whoever waits gets the answer.
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&board] {
        if (crfs_checkpoint_wait(-1, nullptr, 0) != 0) board.wrong = 6;
      });
    }
    for (std::thread& waiter : waiters) waiter.join();
    if (::access(image.c_str(), F_OK) != 0) board.wrong = 7;
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

TEST(Begin, OfSeveralThreadsIsOnesAtATime) {
  const ImagePath image;
  Program program([&](Board& board) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (board.value[0] < 5) {
          if (crfs_checkpoint_self(image.c_str(), nullptr) == 0) {
            if (crfs_checkpoint_wait(-1, nullptr, 0) < 0) board.wrong = errno;
            ++board.value[0];
          } else if (errno != EBUSY) {
            board.wrong = 1000 + errno;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

const char* g_image;
volatile int g_handled = -2;
void Checkpoint(int) { g_handled = crfs_checkpoint_begin(g_image, nullptr); }

TEST(Begin, IsForHandlersAndForkedChildren) {
  const ImagePath image;
  g_image = image.c_str();
  Program program([&](Board& board) {
    ::signal(SIGUSR1, Checkpoint);
    ::raise(SIGUSR1);
    if (g_handled != 0) board.wrong = 1;
    const pid_t child = ::fork();
    if (child == 0) {
      // The parent's is not its own; and it may have one.
      if (crfs_checkpoint_wait(0, nullptr, 0) != -1 || errno != ECHILD) board.wrong = 2;
      const ImagePath own;
      const int result = SaveSelf(own.c_str());
      // The copies of two programs that save themselves get in each other's way, and say so.
      if (result != 0 && result != 1000 + EEXIST) board.wrong = result;
      ::_exit(0);
    }
    if (crfs_checkpoint_wait(-1, nullptr, 0) != 0 && errno != EEXIST) board.wrong = 3;
    if (::waitpid(child, nullptr, 0) != child) board.wrong = 4;
    ++board.ready;
  });
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

}  // namespace
}  // namespace crfs
