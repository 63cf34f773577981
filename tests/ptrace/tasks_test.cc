// SPDX-License-Identifier: Apache-2.0
//
// Task trees: zombies, stopped tasks, what tasks share, what is refused.

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

void Sleep(Board& board) {
  ++board.ready;
  while (board.go == 0) ::usleep(1000);
}

ObjectView TaskOf(const LoadedCheckpoint& saved, pid_t pid) {
  return FindObject(saved, "task", "pid", static_cast<uint64_t>(pid));
}

uint64_t Bit(crfs_blockers bit) { return uint64_t{1} << bit; }

TEST(Tasks, ZombiesAreSavedAsSuch) {
  Program program([](Board& board) {
    const pid_t ended = ::fork();
    if (ended == 0) ::_exit(5);
    const pid_t killed = ::fork();
    if (killed == 0) {
      for (;;) ::pause();
    }
    ::kill(killed, SIGTERM);
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(ended), &info, WEXITED | WNOWAIT);
    ::waitid(P_PID, static_cast<id_t>(killed), &info, WEXITED | WNOWAIT);
    board.value[0] = ended;
    board.value[1] = killed;
    Sleep(board);
    int status;
    if (::waitpid(ended, &status, 0) != ended || WEXITSTATUS(status) != 5) board.wrong = 1;
    if (::waitpid(killed, &status, 0) != killed || WTERMSIG(status) != SIGTERM) board.wrong = 2;
  });
  const LoadedCheckpoint saved = program.Save();
  EXPECT_EQ(saved.Ids("task").size(), 3U);
  const ObjectView ended = TaskOf(saved, static_cast<pid_t>(program.board().value[0]));
  EXPECT_EQ(ended.Number("state"), CRFS_state_zombie);
  EXPECT_EQ(ended.Number("exit_code"), 5U << 8);
  EXPECT_EQ(ended.Number("mm"), 0U);
  EXPECT_EQ(ended.Number("ppid"), static_cast<uint64_t>(program.pid()));
  const ObjectView killed = TaskOf(saved, static_cast<pid_t>(program.board().value[1]));
  EXPECT_EQ(killed.Number("exit_code"), static_cast<uint64_t>(SIGTERM));
  EXPECT_EQ(saved.Get("thread", saved.Owned("thread", killed.id())[0]).Number("state"),
            CRFS_state_zombie);
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Tasks, GoOnWithoutTheirFirstThread) {
  Program program([](Board& board) {
    std::thread([&board] {
      int ends[2];
      if (::pipe(ends) != 0 || ::write(ends[1], "kept", 4) != 4) board.wrong = 1;
      board.value[0] = ends[0];
      board.value[1] = ::gettid();
      Sleep(board);
      char text[8];
      if (::read(ends[0], text, sizeof(text)) != 4) board.wrong = 2;
      ::_exit(board.wrong);
    }).detach();
    ::syscall(SYS_exit, 3);
  });
  ASSERT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'Z'; }));
  ASSERT_TRUE(Program::Try(program.pid()).ok());
  const LoadedCheckpoint saved = program.Save();
  const ObjectView task = TaskOf(saved, program.pid());
  EXPECT_EQ(task.Number("state"), CRFS_state_running);
  EXPECT_EQ(task.Number("exit_signal"), static_cast<uint64_t>(SIGCHLD));
  EXPECT_EQ(task.Number("ppid"), static_cast<uint64_t>(::getpid()));
  EXPECT_FALSE(task.Bytes("argv").empty());
  ASSERT_EQ(saved.Owned("thread", task.id()).size(), 2U);
  const ObjectView first = FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
  EXPECT_EQ(first.Number("state"), CRFS_state_zombie);
  EXPECT_EQ(first.Number("exit_code"), 3U << 8);
  const ObjectView other =
      FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.board().value[1].load()));
  EXPECT_EQ(other.Number("state"), CRFS_state_running);
  EXPECT_NE(other.Number("rip"), 0U);
  const ObjectView file = FileOf(saved, program.pid(), static_cast<int>(program.board().value[0]));
  EXPECT_EQ(saved.Get("pipe", file.Number("pipe")).Bytes("data"), "kept");
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Tasks, StoppedOnesStaySo) {
  Program program([](Board& board) {
    const pid_t stopped = ::fork();
    if (stopped == 0) {
      ++board.ready;
      while (board.go == 0) {
        timespec span = {0, 500'000'000};
        ++board.value[1];
        if (::nanosleep(&span, nullptr) != 0) board.wrong = 3;
      }
      ::_exit(7);
    }
    board.value[0] = stopped;
    while (board.value[2] == 0) ::usleep(1000);
    int status;
    // It is told of the stop once, by the signal: not again after the checkpoint.
    if (::waitpid(stopped, &status, WUNTRACED) != stopped || !WIFSTOPPED(status)) board.wrong = 1;
    ++board.ready;
    while (board.value[2] == 1) ::usleep(1000);
    if (::waitpid(stopped, &status, WUNTRACED | WNOHANG) != 0) board.wrong = 2;
    ::kill(stopped, SIGCONT);
    board.go = 1;
    if (::waitpid(stopped, &status, 0) != stopped || WEXITSTATUS(status) != 7) board.wrong = 4;
  });
  const auto stopped = static_cast<pid_t>(program.board().value[0].load());
  ASSERT_TRUE(Eventually([&] { return SleepsIn(stopped) == SYS_clock_nanosleep; }));
  ::kill(stopped, SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return StateOf(stopped) == 'T'; }));
  for (int round = 0; round < 2; ++round) {
    const LoadedCheckpoint saved = program.Save();
    const ObjectView task = TaskOf(saved, stopped);
    EXPECT_EQ(task.Number("state"), CRFS_state_stopped);
    // Its parent asks between the two rounds.
    EXPECT_EQ(task.Number("exit_code"), round == 0 ? static_cast<uint64_t>(SIGSTOP) : 0);
    EXPECT_EQ(saved.Get("thread", saved.Owned("thread", task.id())[0]).Number("state"),
              CRFS_state_stopped);
    EXPECT_EQ(TaskOf(saved, program.pid()).Number("state"), CRFS_state_running);
    ASSERT_TRUE(Eventually([&] { return StateOf(stopped) == 'T'; }));
    const int64_t count = program.board().value[1];
    ::usleep(100'000);
    EXPECT_EQ(program.board().value[1], count);
    EXPECT_EQ(StateOf(stopped), 'T');
    if (round == 0) {
      program.board().value[2] = 1;
      ASSERT_TRUE(Eventually([&] { return program.board().ready == 2; }));
    }
  }
  program.board().value[2] = 2;
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().wrong, 0);
}

int ShareAll(void* board) {
  Sleep(*static_cast<Board*>(board));
  ::_exit(0);
}
char g_child_stack[64 << 10];

TEST(Tasks, WhatTheyShareIsOneObject) {
  Program program(
      [](Board& board) {
        const pid_t shares =
            ::clone(ShareAll, g_child_stack + sizeof(g_child_stack),
                    CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, &board);
        const pid_t forked = ::fork();
        if (forked == 0) {
          Sleep(board);
          ::_exit(0);
        }
        board.value[0] = shares;
        board.value[1] = forked;
        Sleep(board);
        ::waitpid(shares, nullptr, 0);
        ::waitpid(forked, nullptr, 0);
      },
      3);
  const LoadedCheckpoint saved = program.Save();
  const ObjectView root = TaskOf(saved, program.pid());
  const auto shares_pid = static_cast<pid_t>(program.board().value[0].load());
  const ObjectView shares = TaskOf(saved, shares_pid);
  const ObjectView forked = TaskOf(saved, static_cast<pid_t>(program.board().value[1]));
  for (const absl::string_view row : {"mm", "fd", "fs", "sighand"}) {
    EXPECT_EQ(root.Number(row), shares.Number(row)) << row;
    EXPECT_NE(root.Number(row), forked.Number(row)) << row;
  }
  EXPECT_EQ(root.Number("blockers"), 0U);
  EXPECT_EQ(FdOf(saved, program.pid(), 2).Number("file"),
            FdOf(saved, static_cast<pid_t>(program.board().value[1]), 2).Number("file"));
  // Of one of those that share, the others are outside.
  const LoadedCheckpoint alone = Program::SaveTask(shares_pid);
  EXPECT_EQ(TaskOf(alone, shares_pid).Number("blockers"), Bit(CRFS_blockers_shared_outside));
  EXPECT_EQ(alone.Get("mm", 1).Number("blockers"), Bit(CRFS_blockers_shared_outside));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Refused, IsASocketByName) {
  Program program([](Board& board) {
    board.value[0] = ::socket(AF_UNIX, SOCK_STREAM, 0);
    Sleep(board);
  });
  const absl::Status status = Program::Try(program.pid()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is of kind socket"));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

TEST(Refused, IsATimer) {
  Program program([](Board& board) {
    timer_t timer;
    sigevent event = {};
    event.sigev_notify = SIGEV_NONE;
    ::timer_create(CLOCK_MONOTONIC, &event, &timer);
    Sleep(board);
  });
  EXPECT_THAT(std::string(Program::Try(program.pid()).status().message()),
              HasSubstr("posix_timers"));
}

TEST(Refused, IsATracedTask) {
  Program program([](Board& board) { Sleep(board); });
  ASSERT_EQ(::ptrace(PTRACE_SEIZE, program.pid(), nullptr, nullptr), 0);
  const absl::Status status = Program::Try(program.pid()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is traced by process"));
}

TEST(Refused, IsATaskOfAnother) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to have two users";
  Program target([](Board& board) { Sleep(board); });
  Program other([&](Board& board) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) board.wrong = 2;
    const absl::Status status = Program::Try(target.pid()).status();
    if (!absl::IsPermissionDenied(status)) board.wrong = 1;
    ++board.ready;
  });
  EXPECT_EQ(other.Wait(), 0);
  target.board().go = 1;
  EXPECT_EQ(target.Wait(), 0);
}

// The board of a program is memory that only privileged processes can open.
TEST(Refused, IsNamelessMemoryToPlainUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to become another user";
  Program other([&](Board& board) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) {
      board.wrong = 2;
    }
    ::prctl(PR_SET_DUMPABLE, 1);  // what it forks is its own to trace
    Program target([](Board& own) { Sleep(own); });
    const absl::Status status = Program::Try(target.pid()).status();
    if (!absl::IsPermissionDenied(status) ||
        !absl::StrContains(status.message(), "CAP_CHECKPOINT_RESTORE")) {
      board.wrong = 1;
    }
    target.board().go = 1;
    if (target.Wait() != 0) board.wrong = 3;
    ++board.ready;
  });
  EXPECT_EQ(other.Wait(), 0);
  EXPECT_EQ(other.board().wrong, 0);
}

absl::StatusOr<CheckpointResult> SaveAnd(pid_t pid, Afterwards afterwards) {
  CheckpointOptions options;
  options.pid = pid;
  options.engine = Engine::kPtrace;
  options.image = "/dev/null";
  options.inspect = true;
  options.afterwards = afterwards;
  return TakeCheckpoint(options);
}

TEST(Afterwards, ProgramsStopOrDie) {
  Program program([](Board& board) {
    ++board.ready;
    while (board.go == 0) {
      ::usleep(1000);
      ++board.value[0];
    }
  });
  const absl::StatusOr<CheckpointResult> stopped = SaveAnd(program.pid(), Afterwards::kStop);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_GT(stopped->frozen_ns, 0U);
  EXPECT_EQ(stopped->tasks, std::vector<pid_t>{program.pid()});
  ASSERT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'T'; }));
  ::kill(program.pid(), SIGCONT);
  const int64_t before = program.board().value[0];
  EXPECT_TRUE(Eventually([&] { return program.board().value[0] > before; }));
  ASSERT_TRUE(SaveAnd(program.pid(), Afterwards::kKill).ok());
  int status = 0;
  ASSERT_EQ(::waitpid(program.pid(), &status, 0), program.pid());
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// A filter that kills for whatever the program itself does not call: nothing else may be called in
// its name.
TEST(Seccomp, FilterDoesNotSeeWhatIsAsked) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to suspend a filter";
  if (kSanitized) GTEST_SKIP() << "sanitizers make calls of their own";
  Program program([](Board& board) {
    const sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, SYS_clock_nanosleep},
        {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_exit_group},
        {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_restart_syscall},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const sock_fprog filter = {std::size(code), const_cast<sock_filter*>(code)};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) board.wrong = 1;
    Sleep(board);
  });
  const LoadedCheckpoint saved = program.Save();
  const ObjectView thread =
      FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
  EXPECT_EQ(thread.Number("seccomp"), 2U);
  EXPECT_EQ(thread.Number("no_new_privs"), 1U);
  EXPECT_THAT(std::string(Program::Try(program.pid()).status().message()), HasSubstr("seccomp"));
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

}  // namespace
}  // namespace crfs
