// SPDX-License-Identifier: Apache-2.0
//
// A program that sleeps in a system call does not see that it was checkpointed, and the image says
// how the call goes on.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ostream>
#include <string>

#include "crfs/words.h"
#include "tests/ptrace/program.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kTime = 2'000'000'000;  // of calls that end by themselves
// Calls that the kernel begins again as a whole sleep longer by what had passed.
constexpr int64_t kMost = 3 * kTime;

int64_t Now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

timespec Span(int64_t ns) { return {ns / kSecond, ns % kSecond}; }

int g_pipe[2];
int g_socket[2];
uint32_t g_futex = 1;

void Wake() { [[maybe_unused]] const ssize_t put = ::write(g_pipe[1], "x", 1); }

// The program calls `call`, in which it sleeps, and writes its result and errno on the board. It
// wakes by itself, or by `wake`, which another thread of the test calls in the program's stead.
struct Call {
  const char* name;
  long number;
  long (*call)();
  long result;
  bool timed;
  crfs_syscall_restart restart;
  crfs_restart_block block;
};

std::ostream& operator<<(std::ostream& out, const Call& call) { return out << call.name; }

constexpr auto kNone = CRFS_restart_block_none;

const Call kCalls[] = {
    {"nanosleep", SYS_nanosleep,
     [] {
       timespec span = Span(kTime);
       return ::syscall(SYS_nanosleep, &span, nullptr);
     },
     0, true, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep},
    {"nanosleep with the rest", SYS_nanosleep,
     [] {
       timespec span = Span(kTime), rest = {};
       return ::syscall(SYS_nanosleep, &span, &rest);
     },
     0, true, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep},
    {"clock_nanosleep", SYS_clock_nanosleep,
     [] {
       timespec span = Span(kTime);
       return ::syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &span, nullptr);
     },
     0, true, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep},
    {"clock_nanosleep until", SYS_clock_nanosleep,
     [] {
       timespec until = Span(Now() + kTime);
       return ::syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
     },
     0, true, CRFS_syscall_restart_nohand, kNone},
    {"poll", SYS_poll,
     [] {
       pollfd end = {g_pipe[0], POLLIN, 0};
       return ::syscall(SYS_poll, &end, 1, kTime / 1'000'000);
     },
     0, true, CRFS_syscall_restart_block, CRFS_restart_block_poll},
    {"poll without end", SYS_poll,
     [] {
       pollfd end = {g_pipe[0], POLLIN, 0};
       return ::syscall(SYS_poll, &end, 1, -1);
     },
     1, false, CRFS_syscall_restart_block, CRFS_restart_block_poll},
    {"ppoll with a mask", SYS_ppoll,
     [] {
       pollfd end = {g_pipe[0], POLLIN, 0};
       timespec span = Span(kTime);
       uint64_t mask = 1 << (SIGUSR1 - 1);
       return ::syscall(SYS_ppoll, &end, 1, &span, &mask, sizeof(mask));
     },
     0, true, CRFS_syscall_restart_nohand, kNone},
    {"select", SYS_select,
     [] {
       fd_set set;
       FD_ZERO(&set);
       FD_SET(g_pipe[0], &set);
       timeval span = {2, 0};
       return ::syscall(SYS_select, g_pipe[0] + 1, &set, nullptr, nullptr, &span);
     },
     0, true, CRFS_syscall_restart_nohand, kNone},
    {"epoll_wait", SYS_epoll_wait,
     [] {
       const int set = ::epoll_create1(0);
       epoll_event event = {EPOLLIN, {}};
       ::epoll_ctl(set, EPOLL_CTL_ADD, g_pipe[0], &event);
       return ::syscall(SYS_epoll_wait, set, &event, 1, -1);
     },
     1, false, CRFS_syscall_restart_nohand, kNone},
    {"futex", SYS_futex,
     [] {
       timespec span = Span(kTime);
       return ::syscall(SYS_futex, &g_futex, FUTEX_WAIT_PRIVATE, 1, &span);
     },
     -ETIMEDOUT, true, CRFS_syscall_restart_block, CRFS_restart_block_futex},
    {"futex until", SYS_futex,
     [] {
       timespec until = Span(Now() + kTime);
       return ::syscall(SYS_futex, &g_futex, FUTEX_WAIT_BITSET_PRIVATE, 1, &until, nullptr, 5);
     },
     -ETIMEDOUT, true, CRFS_syscall_restart_block, CRFS_restart_block_futex},
    {"read", SYS_read,
     [] {
       char byte;
       return ::syscall(SYS_read, g_pipe[0], &byte, 1);
     },
     1, false, CRFS_syscall_restart_sys, kNone},
    {"recv with a time", SYS_recvfrom,
     [] {
       timeval span = {2, 0};
       ::setsockopt(g_socket[0], SOL_SOCKET, SO_RCVTIMEO, &span, sizeof(span));
       char byte;
       return ::syscall(SYS_recvfrom, g_socket[0], &byte, 1, 0, nullptr, nullptr);
     },
     -EAGAIN, true, CRFS_syscall_restart_nohand, kNone},
    {"sigtimedwait", SYS_rt_sigtimedwait,
     [] {
       uint64_t set = 1 << (SIGUSR1 - 1);
       timespec span = Span(kTime);
       return ::syscall(SYS_rt_sigtimedwait, &set, nullptr, &span, sizeof(set));
     },
     -EAGAIN, true, CRFS_syscall_restart_nohand, kNone},
    {"semtimedop", SYS_semtimedop,
     [] {
       const int set = ::semget(IPC_PRIVATE, 1, 0600);
       sembuf down = {0, -1, 0};
       timespec span = Span(kTime);
       const long result = ::syscall(SYS_semtimedop, set, &down, 1, &span);
       const int error = errno;
       ::semctl(set, 0, IPC_RMID);
       errno = error;
       return result;
     },
     -EAGAIN, true, CRFS_syscall_restart_nohand, kNone},
    {"wait4", SYS_wait4,
     [] {
       const pid_t child = ::fork();
       if (child == 0) {
         pollfd end = {g_pipe[0], POLLIN, 0};
         while (::poll(&end, 1, -1) != 1) {
         }
         ::_exit(0);
       }
       return ::syscall(SYS_wait4, child, nullptr, 0, nullptr) == child ? 0L : -1L;
     },
     0, false, CRFS_syscall_restart_sys, kNone},
};

class Sleeping : public ::testing::TestWithParam<Call> {};

TEST_P(Sleeping, IsNotDisturbed) {
  const Call& call = GetParam();
  ASSERT_EQ(::pipe(g_pipe), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, g_socket), 0);
  Program program([&](Board& board) {
    board.ready = 1;
    const int64_t begin = Now();
    errno = 0;
    const long result = call.call();
    board.value[0] = result < 0 ? -errno : result;
    board.value[1] = Now() - begin;
    board.done = 1;
  });
  ASSERT_TRUE(Eventually([&] { return SleepsIn(program.pid()) == call.number; }));
  constexpr int kRounds = kSanitized ? 1 : 3;
  for (int i = 0; i < kRounds;
       ++i) {  // the second time some have been restarted by restart_syscall(2)
    const LoadedCheckpoint saved = program.Save();
    const ObjectView thread =
        FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
    EXPECT_EQ(thread.Number("syscall_nr"), static_cast<uint64_t>(call.number));
    EXPECT_EQ(thread.Number("syscall_restart"), call.restart);
    EXPECT_EQ(thread.Number("syscall_block"), call.block);
    EXPECT_LE(thread.Number("syscall_remaining"), static_cast<uint64_t>(kTime));
    if (call.block != kNone && call.timed) {
      EXPECT_GT(thread.Number("syscall_remaining"), 0U);
    }
    // On a slow machine its time may be over; that it did not end before is seen below.
    if (program.board().done != 0) break;
  }
  if (!call.timed) Wake();
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_EQ(program.board().value[0], call.result);
  if (call.timed) {
    EXPECT_GE(program.board().value[1], kTime);
    EXPECT_LE(program.board().value[1], kMost);
  }
  for (const int fd : {g_pipe[0], g_pipe[1], g_socket[0], g_socket[1]}) ::close(fd);
}

INSTANTIATE_TEST_SUITE_P(Calls, Sleeping, ::testing::ValuesIn(kCalls));

TEST(SleepingRest, IsWhatTheKernelSays) {
  Program program([](Board& board) {
    timespec span = Span(5 * kSecond), rest = {};
    board.ready = 1;
    ::syscall(SYS_nanosleep, &span, &rest);
  });
  ASSERT_TRUE(Eventually([&] { return SleepsIn(program.pid()) == SYS_nanosleep; }));
  ::usleep(300'000);
  const LoadedCheckpoint saved = program.Save();
  const ObjectView thread =
      FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
  EXPECT_LT(thread.Number("syscall_remaining"), static_cast<uint64_t>(5 * kSecond - 300'000'000));
  EXPECT_GT(thread.Number("syscall_remaining"), static_cast<uint64_t>(kSecond));
  EXPECT_NE(thread.Number("syscall_address"), 0U);
}

void Nothing(int) {}

// The signals that sigsuspend(2) lets in are those that were blocked before.
TEST(Suspended, HasBothMasksAndWakesByItsSignal) {
  Program program([](Board& board) {
    struct sigaction action = {};
    action.sa_handler = Nothing;
    ::sigaction(SIGUSR1, &action, nullptr);
    sigset_t blocked, inside, after;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ::sigemptyset(&inside);
    ::sigaddset(&inside, SIGUSR2);
    board.ready = 1;
    const int result = ::sigsuspend(&inside);
    if (result != -1 || errno != EINTR) board.wrong = 1;  // that is how it ends
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    if (!::sigismember(&after, SIGUSR1) || ::sigismember(&after, SIGUSR2)) board.wrong = 2;
    board.done = 1;
  });
  ASSERT_TRUE(Eventually([&] { return SleepsIn(program.pid()) == SYS_rt_sigsuspend; }));
  for (int i = 0; i < 2; ++i) {
    const LoadedCheckpoint saved = program.Save();
    const ObjectView thread =
        FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
    EXPECT_EQ(thread.Number("sigmask"), uint64_t{1} << (SIGUSR2 - 1));
    EXPECT_EQ(thread.Number("saved_sigmask"), uint64_t{1} << (SIGUSR1 - 1));
    EXPECT_EQ(thread.Number("restore_sigmask"), 1U);
  }
  ::usleep(50'000);
  ASSERT_EQ(program.board().done, 0);
  ::kill(program.pid(), SIGUSR1);
  EXPECT_EQ(program.Wait(), 0);
}

// A signal that its own mask alone lets in would end the call if the other mask were lost: as it
// is, the call begins again, and the signal is handled in between.
TEST(Suspended, KeepsItsMaskWhileItIsStopped) {
  static std::atomic<int64_t>* handled;
  Program program([](Board& board) {
    handled = &board.value[0];
    ::signal(SIGUSR1, Nothing);
    ::signal(SIGUSR2, [](int) { ++*handled; });
    sigset_t blocked, inside;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ::sigemptyset(&inside);
    ::sigaddset(&inside, SIGUSR2);
    board.ready = 1;
    if (::sigsuspend(&inside) != -1 || errno != EINTR) board.wrong = 1;
    board.done = 1;
  });
  ASSERT_TRUE(Eventually([&] { return SleepsIn(program.pid()) == SYS_rt_sigsuspend; }));
  ::kill(program.pid(), SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'T'; }));
  const std::string mask = StatusLine(program.pid(), "SigBlk");
  for (int i = 0; i < 2; ++i) {
    const LoadedCheckpoint saved = program.Save();
    const ObjectView thread =
        FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
    EXPECT_EQ(thread.Number("sigmask"), uint64_t{1} << (SIGUSR2 - 1));
    EXPECT_EQ(thread.Number("saved_sigmask"), uint64_t{1} << (SIGUSR1 - 1));
    ASSERT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'T'; }));
    EXPECT_EQ(StatusLine(program.pid(), "SigBlk"), mask);
  }
  ::kill(program.pid(), SIGUSR2);
  ::kill(program.pid(), SIGCONT);
  ASSERT_TRUE(Eventually([&] { return program.board().value[0] == 1; }));
  ::usleep(50'000);
  EXPECT_EQ(program.board().done, 0);
  ::kill(program.pid(), SIGUSR1);
  EXPECT_EQ(program.Wait(), 0);
}

// The signal that stopped it makes the call fail (signal(7)), with a checkpoint or without one.
TEST(Stopped, FailsAsItWouldHave) {
  Program program([](Board& board) {
    const int poll = ::epoll_create1(0);
    epoll_event event;
    board.ready = 1;
    if (::epoll_wait(poll, &event, 1, -1) != -1 || errno != EINTR) board.wrong = 1;
  });
  ASSERT_TRUE(Eventually([&] { return SleepsIn(program.pid()) == SYS_epoll_wait; }));
  ::kill(program.pid(), SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return StateOf(program.pid()) == 'T'; }));
  for (int i = 0; i < 2; ++i) {
    const LoadedCheckpoint saved = program.Save();
    const ObjectView thread =
        FindObject(saved, "thread", "tid", static_cast<uint64_t>(program.pid()));
    EXPECT_EQ(thread.Number("syscall_restart"), CRFS_syscall_restart_intr);
  }
  ::kill(program.pid(), SIGCONT);
  EXPECT_EQ(program.Wait(), 0);
}

}  // namespace
}  // namespace crfs
