// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints with a copy by fork(2): the image is of one moment though the program goes on while
// it is written, and nobody sees the copy.

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/proc_file.h"
#include "index/edit_error.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

constexpr size_t kPage = 4096;

struct Saved {
  absl::StatusOr<CheckpointResult> result;
  std::optional<LoadedCheckpoint> checkpoint;
};

Saved SaveByCopy(pid_t pid, const CopyProgress& progress = {}) {
  CheckpointOptions options;
  options.pid = pid;
  options.copy = true;
  options.inspect = true;
  options.image = absl::StrCat("/tmp/crfs-copy-", ::getpid(), ".crfs");
  options.progress = progress;
  Saved saved = {TakeCheckpoint(options), std::nullopt};
  EXPECT_EQ(::access(options.image.c_str(), F_OK) == 0, saved.result.ok());
  if (!saved.result.ok()) return saved;
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::FromImage(options.image);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->VerifyMemory().ok());
  saved.checkpoint = *std::move(loaded);
  ::unlink(options.image.c_str());
  return saved;
}

// The first number of each page that is saved, by its address.
std::map<uint64_t, int64_t> FirstNumbers(const LoadedCheckpoint& saved, const ObjectView& owner,
                                         uint64_t base) {
  std::map<uint64_t, int64_t> numbers;
  const absl::StatusOr<LoadedMemory> memory = saved.Memory(owner);
  EXPECT_TRUE(memory.ok());
  for (const LoadedExtent& extent : memory->extents) {
    for (uint64_t done = 0; done < extent.length; done += kPage) {
      int64_t& number = numbers[base + extent.offset + done];
      EXPECT_EQ(::pread(memory->fd, &number, sizeof(number),
                        static_cast<off_t>(extent.file_offset + done)),
                static_cast<ssize_t>(sizeof(number)));
    }
  }
  return numbers;
}

ObjectView VmaAt(const LoadedCheckpoint& saved, uint64_t address) {
  for (const uint64_t id : saved.Ids("vma")) {
    const ObjectView vma = saved.Get("vma", id);
    if (vma.Number("start") <= address && address < vma.Number("end")) return vma;
  }
  ADD_FAILURE() << "nothing is mapped at " << address;
  return saved.Get("vma", 1);
}

std::map<uint64_t, int64_t> NumbersAt(const LoadedCheckpoint& saved, int64_t address) {
  const ObjectView vma = VmaAt(saved, static_cast<uint64_t>(address));
  const uint64_t shmem = vma.Number("shmem");
  return shmem == 0 ? FirstNumbers(saved, vma, vma.Number("start"))
                    : FirstNumbers(saved, saved.Get("shmem", shmem), vma.Number("start"));
}

int64_t* Map(size_t pages, int flags) {
  // What lies beside it has another protection: nothing merges.
  auto* const all = static_cast<char*>(
      ::mmap(nullptr, (pages + 2) * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return static_cast<int64_t*>(::mmap(all + kPage, pages * kPage, PROT_READ | PROT_WRITE,
                                      flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

// A thread writes the number of its round to one place after the other, so that at any moment each
// has the number of the one before it or one less, and the last one no less than the first less 1.
TEST(Copy, IsOfOneMoment) {
  constexpr size_t kPages = 8192;
  Program program([](Board& board) {
    int64_t* const plain = Map(kPages, MAP_PRIVATE);
    int64_t* const shared = Map(1, MAP_SHARED);
    int64_t* const kept_back = Map(1, MAP_PRIVATE);
    int64_t* const wiped = Map(1, MAP_PRIVATE);
    ::madvise(kept_back, kPage, MADV_DONTFORK);
    ::madvise(wiped, kPage, MADV_WIPEONFORK);
    int64_t i = 1;
    for (int64_t* place : {plain, shared, kept_back, wiped}) {
      board.value[i++] = reinterpret_cast<int64_t>(place);
    }
    for (int64_t round = 1; board.go == 0; ++round) {
      for (size_t page = 0; page < kPages; ++page) {
        *reinterpret_cast<volatile int64_t*>(&plain[page * kPage / sizeof(int64_t)]) = round;
      }
      for (int64_t* place : {shared, kept_back, wiped}) {
        *static_cast<volatile int64_t*>(place) = round;
      }
      board.value[0] = round;
      if (round == 2) ++board.ready;
    }
  });
  const Board& board = program.board();
  const Saved saved = SaveByCopy(program.pid(), [&](uint64_t, uint64_t) {
    const int64_t before = board.value[0];
    ASSERT_TRUE(Eventually([&] { return board.value[0] >= before + 2; })) << "it stands";
  });
  ASSERT_TRUE(saved.result.ok()) << saved.result.status();
  std::vector<int64_t> numbers;
  const auto pages = NumbersAt(*saved.checkpoint, board.value[1]);
  ASSERT_EQ(pages.size(), kPages);
  for (const auto& [address, number] : pages) numbers.push_back(number);
  for (const int place : {2, 3, 4}) {
    const auto one = NumbersAt(*saved.checkpoint, board.value[place]);
    ASSERT_EQ(one.size(), 1U) << place;
    numbers.push_back(one.begin()->second);
  }
  EXPECT_LT(numbers.front(), board.value[0]) << "nothing was written meanwhile";
  EXPECT_GE(numbers.back(), numbers.front() - 1);
  for (size_t i = 1; i < numbers.size(); ++i) ASSERT_LE(numbers[i], numbers[i - 1]) << i;
  const uint64_t said = saved.checkpoint->Get("checkpoint", 1).Number("downtime");
  EXPECT_EQ(said, saved.result->frozen_ns);
  std::printf("32 MiB that are written all the time: stood %.1f ms\n",
              static_cast<double>(said) / 1e6);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

int g_signals;
void CountSignal(int) { ++g_signals; }

// What a program could see of its copy, and what is left of that; the same for its child, whose
// copy is another one. A reaper of orphans would be its parent.
void ExpectUnseen(bool reaper) {
  const std::string name = absl::StrCat("copied-", ::getpid());
  Program program(
      [&](Board& board) {
        ::prctl(PR_SET_CHILD_SUBREAPER, reaper);
        ::prctl(PR_SET_NAME, name.c_str());
        ::signal(SIGCHLD, CountSignal);
        ::signal(SIGCONT, CountSignal);
        std::string filler(32 << 20, 'f');
        const pid_t child = ::fork();
        ++board.ready;
        while (board.go == 0) {
          int status;
          errno = 0;
          const pid_t got = ::waitpid(-1, &status, WNOHANG);
          if (child == 0 ? got != -1 || errno != ECHILD : got != 0) board.wrong = 1;
          if (g_signals != 0) board.wrong = 2;
          if (filler[filler.size() / 2] != 'f') board.wrong = 3;
          timespec span = {0, 100'000};
          if (::nanosleep(&span, nullptr) != 0) board.wrong = 4;
          ++board.value[child == 0];
        }
        if (child == 0) ::_exit(5);
        int status;
        if (::waitpid(-1, &status, __WALL) != child || WEXITSTATUS(status) != 5) board.wrong = 5;
        // No zombie either, of whatever kind.
        if (::waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD) board.wrong = 6;
      },
      2);
  const std::vector<pid_t> before = ProcessesNamed(name);
  ASSERT_EQ(before.size(), 2U);
  const std::string maps = ReadProcFile(ProcPath(program.pid(), "maps")).value_or("");
  size_t copies = 0;  // seen by a process that is not waited for: not in every round
  for (int round = 0; round < 5; ++round) {
    const Saved saved = SaveByCopy(program.pid(), [&](uint64_t, uint64_t) {
      copies = std::max(copies, ProcessesNamed(name).size());
    });
    ASSERT_TRUE(saved.result.ok()) << saved.result.status();
    EXPECT_EQ(saved.checkpoint->Ids("mm").size(), 2U);
    EXPECT_EQ(ProcessesNamed(name), before);
    for (const int who : {0, 1}) {
      const int64_t turns = program.board().value[who];
      EXPECT_TRUE(Eventually([&] { return program.board().value[who] > turns + 2; }));
    }
  }
  EXPECT_EQ(copies, 4U) << "two and their copies";
  EXPECT_EQ(ReadProcFile(ProcPath(program.pid(), "maps")).value_or(""), maps);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

TEST(Copy, IsNotSeen) { ExpectUnseen(false); }
TEST(Copy, IsNotSeenByWhoReapsOrphans) { ExpectUnseen(true); }

TEST(Copy, OutlivesTheProgramAndHoldsNoFile) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Program program([](Board& board) {
    std::string filler(32 << 20, 'f');
    ++board.ready;
    while (board.go == 0) ::usleep(1000);
  });
  ::close(ends[1]);
  bool died = false;
  const Saved saved = SaveByCopy(program.pid(), [&](uint64_t, uint64_t) {
    if (died) return;
    died = true;
    ::kill(program.pid(), SIGKILL);
    pollfd end = {ends[0], POLLIN, 0};
    ASSERT_EQ(::poll(&end, 1, 10'000), 1);
    EXPECT_NE(end.revents & POLLHUP, 0);
    EXPECT_EQ(::waitpid(program.pid(), nullptr, 0), program.pid());
  });
  EXPECT_TRUE(died);
  ASSERT_TRUE(saved.result.ok()) << saved.result.status();
  EXPECT_GT(saved.result->memory, 32U << 20);
  ::close(ends[0]);
}

TEST(Copy, DiesWithItsTracer) {
  const std::string name = absl::StrCat("orphaned-", ::getpid());
  Program program([&](Board& board) {
    ::prctl(PR_SET_NAME, name.c_str());
    std::string filler(32 << 20, 'f');
    ++board.ready;
    while (board.go == 0) {
      if (::usleep(1000) != 0) board.wrong = 1;
    }
  });
  const auto kill_tracer = [&](uint64_t, uint64_t) {
    const absl::StatusOr<std::vector<pid_t>> children = ListChildren(::getpid());
    for (const pid_t child : children.value_or(std::vector<pid_t>())) {
      if (child != program.pid()) ::kill(child, SIGKILL);
    }
  };
  absl::Status status;
  for (int round = 0; round < 20 && status.ok(); ++round) {  // it may have ended before
    status = SaveByCopy(program.pid(), kill_tracer).result.status();
  }
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(EditErrno(status), ECANCELED);
  EXPECT_TRUE(
      Eventually([&] { return ProcessesNamed(name) == std::vector<pid_t>{program.pid()}; }));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Copy, LeavesAStoppedProgramStopped) {
  for (const bool reaper : {false, true}) {
    Program program([&](Board& board) {
      ::prctl(PR_SET_CHILD_SUBREAPER, reaper);
      ++board.ready;
      while (board.go == 0) {
        timespec span = {0, 1'000'000};
        if (::nanosleep(&span, nullptr) != 0) board.wrong = 1;
      }
      if (::waitpid(-1, nullptr, __WALL) != -1 || errno != ECHILD) board.wrong = 2;
    });
    ::kill(program.pid(), SIGSTOP);
    int status;
    ASSERT_EQ(::waitpid(program.pid(), &status, WUNTRACED), program.pid());
    const Saved saved = SaveByCopy(program.pid());
    ASSERT_TRUE(saved.result.ok()) << saved.result.status();
    EXPECT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'T'; }));
    EXPECT_EQ(::waitpid(program.pid(), &status, WUNTRACED | WNOHANG), 0) << "told of it again";
    ::kill(program.pid(), SIGCONT);
    program.board().go = 1;
    EXPECT_EQ(program.Wait(), 0);
  }
}

// The filter would kill the program for each call that makes the copy, and that clears it away.
TEST(Copy, IsMadeInSpiteOfAFilter) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to suspend a filter";
  if (kSanitized) GTEST_SKIP() << "sanitizers make calls of their own";
  for (const bool reaper : {false, true}) {
    Program program([&](Board& board) {
      ::prctl(PR_SET_CHILD_SUBREAPER, reaper);
      const sock_filter code[] = {
          {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
          {BPF_JMP | BPF_JEQ | BPF_K, 4, 0, SYS_clock_nanosleep},
          {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, SYS_exit_group},
          {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_restart_syscall},
          {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_write},
          {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
          {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
      };
      const sock_fprog filter = {std::size(code), const_cast<sock_filter*>(code)};
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) board.wrong = 1;
      ++board.ready;
      while (board.go == 0) ::usleep(1000);
    });
    const Saved saved = SaveByCopy(program.pid());
    ASSERT_TRUE(saved.result.ok()) << saved.result.status();
    EXPECT_TRUE(ListChildren(program.pid())->empty());
    program.board().go = 1;
    EXPECT_EQ(program.Wait(), 0);
  }
}

TEST(Copy, TakesAProcess) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to become a user with no other process";
  Program user([](Board& board) {
    constexpr uid_t kUser = 65533;
    ::setgroups(0, nullptr);
    if (::setresgid(kUser, kUser, kUser) != 0 || ::setresuid(kUser, kUser, kUser) != 0 ||
        ::prctl(PR_SET_DUMPABLE, 1) != 0) {
      ::_exit(2);
    }
    const pid_t program = ::fork();
    if (program == 0) {
      // Nothing that a plain user cannot save.
      ::munmap(&board, sizeof(board));
      ::close_range(0, ~0U, 0);
      const rlimit one = {1, 1};
      ::setrlimit(RLIMIT_NPROC, &one);
      for (;;) ::pause();
    }
    if (!Eventually([&] { return SleepsIn(program) == SYS_pause; })) board.wrong = 1;
    const absl::Status status = SaveByCopy(program).result.status();
    if (!absl::StrContains(status.message(), "no more processes")) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      board.wrong = 2;
    } else if (EditErrno(status) != EAGAIN) {
      board.wrong = 3;
    }
    if (!Eventually([&] { return SleepsIn(program) == SYS_pause; })) board.wrong = 4;
    ::kill(program, SIGKILL);
    ::waitpid(program, nullptr, 0);
    ++board.ready;
  });
  EXPECT_EQ(user.Wait(), 0);
  EXPECT_EQ(user.board().wrong, 0);
}

TEST(Copy, IsNotForTheKernelEngineNorForWhatEnds) {
  CheckpointOptions options;
  options.pid = ::getpid();
  options.copy = true;
  options.image = "/dev/null";
  options.afterwards = Afterwards::kKill;
  EXPECT_EQ(TakeCheckpoint(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace crfs
