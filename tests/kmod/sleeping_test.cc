// SPDX-License-Identifier: Apache-2.0
//
// Threads that sleep in system calls: they go on with no EINTR and no lost time, and what
// is recorded of them is what a restart needs.

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <memory>

#include "harness.h"

namespace kmod_test {
namespace {

struct Sleep {
  const char* name;
  long (*call)();          // sleeps; returns 0, or the errno
  long number;             // that the record should have
  uint32_t restart;
  uint32_t block;
  double least;            // seconds it must last, checkpoints and all
};

// EINTR up to 6.1, made into nohand; sys since.
constexpr uint32_t kEither = ~0u;

long Result(long value) { return value < 0 ? errno : 0; }

int Pipe() {
  int ends[2];
  return pipe(ends) == 0 ? ends[0] : -1;
}

const Sleep kSleeps[] = {
    {"nanosleep", [] { timespec t{3, 0}; return Result(syscall(SYS_nanosleep, &t, nullptr)); },
     SYS_nanosleep, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep, 3},
    {"nanosleep with rest", [] { timespec t{3, 0}, rest; return Result(syscall(SYS_nanosleep, &t, &rest)); },
     SYS_nanosleep, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep, 3},
    {"clock_nanosleep", [] { timespec t{3, 0}; return long{clock_nanosleep(CLOCK_BOOTTIME, 0, &t, nullptr)}; },
     SYS_clock_nanosleep, CRFS_syscall_restart_block, CRFS_restart_block_nanosleep, 3},
    {"clock_nanosleep to a time",
     [] {
       timespec t;
       clock_gettime(CLOCK_REALTIME, &t);
       t.tv_sec += 3;
       return long{clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, nullptr)};
     },
     SYS_clock_nanosleep, CRFS_syscall_restart_nohand, 0, 2.9},
    {"poll", [] { pollfd p{Pipe(), POLLIN, 0}; return Result(syscall(SYS_poll, &p, 1, 3000)); }, SYS_poll,
     CRFS_syscall_restart_block, CRFS_restart_block_poll, 3},
    {"futex with a time",
     [] {
       static int word;
       timespec t{3, 0};
       long got = Result(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, nullptr, 0));
       return got == ETIMEDOUT ? 0 : got;
     },
     SYS_futex, CRFS_syscall_restart_block, CRFS_restart_block_futex, 3},
    {"futex", [] { static int word; return Result(syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0)); },
     SYS_futex, CRFS_syscall_restart_sys, 0, 99},
    {"select", [] { timeval t{3, 0}; return Result(syscall(SYS_select, 0, nullptr, nullptr, nullptr, &t)); },
     SYS_select, CRFS_syscall_restart_nohand, 0, 3},
    {"read", [] { char byte; return Result(read(Pipe(), &byte, 1)); }, SYS_read, CRFS_syscall_restart_sys, 0, 99},
    {"epoll_wait", [] { epoll_event e; return Result(syscall(SYS_epoll_wait, epoll_create1(0), &e, 1, 3000)); },
     SYS_epoll_wait, CRFS_syscall_restart_nohand, 0, 3},
    {"epoll_wait for ever", [] { epoll_event e; return Result(syscall(SYS_epoll_wait, epoll_create1(0), &e, 1, -1)); },
     SYS_epoll_wait, CRFS_syscall_restart_nohand, 0, 99},
    {"sigtimedwait",
     [] {
       sigset_t set;
       sigemptyset(&set);
       sigaddset(&set, SIGUSR2);
       timespec t{3, 0};
       long got = Result(syscall(SYS_rt_sigtimedwait, &set, nullptr, &t, 8));
       return got == EAGAIN ? 0 : got;
     },
     SYS_rt_sigtimedwait, CRFS_syscall_restart_nohand, 0, 3},
    {"semtimedop",
     [] {
       int id = semget(IPC_PRIVATE, 1, 0600);
       sembuf wait{0, -1, 0};
       timespec t{3, 0};
       long got = Result(syscall(SYS_semtimedop, id, &wait, 1, &t));
       semctl(id, 0, IPC_RMID);
       return got == EAGAIN ? 0 : got;
     },
     SYS_semtimedop, CRFS_syscall_restart_nohand, 0, 3},
    {"recv with a time",
     [] {
       int ends[2];
       if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1L;
       timeval t{3, 0};
       setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
       char byte;
       long got = Result(recv(ends[0], &byte, 1, 0));
       return got == EAGAIN ? 0 : got;
     },
     SYS_recvfrom, CRFS_syscall_restart_nohand, 0, 3},
    {"read of inotify", [] { char event[256]; return Result(read(inotify_init(), event, sizeof(event))); }, SYS_read,
     kEither, 0, 99},
    {"pause", [] { return Result(pause()); }, SYS_pause, CRFS_syscall_restart_nohand, 0, 99},
    {"sigsuspend", [] { sigset_t set; sigfillset(&set); sigdelset(&set, SIGTERM); return Result(sigsuspend(&set)); },
     SYS_rt_sigsuspend, CRFS_syscall_restart_nohand, 0, 99},
    {"wait4", [] { if (fork() == 0) for (;;) pause(); return Result(waitpid(-1, nullptr, 0)); }, SYS_wait4,
     CRFS_syscall_restart_sys, 0, 99},
};

std::string CheckSleep(const Sleep& sleep, const crfs_thread& thread, double age, double oldest) {
  EXPECT_EQ(thread.syscall_nr, int64_t{sleep.number});
  if (sleep.restart != kEither) EXPECT_EQ(thread.syscall_restart, sleep.restart);
  EXPECT_EQ(thread.syscall_block, sleep.block);
  if (sleep.block) {
    auto left = static_cast<double>(thread.syscall_remaining) / 1e9;
    EXPECT(left < 3.01 - age && left > 2.99 - oldest,
           std::to_string(left) + " s left after " + std::to_string(age) + " to " + std::to_string(oldest));
    EXPECT_EQ(thread.syscall_address != 0, sleep.block != CRFS_restart_block_nanosleep ||
                                               strcmp(sleep.name, "nanosleep with rest") == 0);
  }
  if (sleep.block == CRFS_restart_block_poll) EXPECT_EQ(thread.syscall_value, 1u);
  if (sleep.block == CRFS_restart_block_futex) {
    EXPECT_EQ(thread.syscall_flags, static_cast<uint32_t>(FUTEX_PRIVATE_FLAG));
    EXPECT_EQ(thread.syscall_bitset, 0xffffffffu);
  }
  if (sleep.number == SYS_rt_sigsuspend) {
    EXPECT_EQ(thread.restore_sigmask, 1u);
    EXPECT_EQ(thread.saved_sigmask, 0u);
    EXPECT(thread.sigmask >> (SIGUSR1 - 1) & 1, "the mask of sigsuspend");
  }
  return "";
}

// The whole list at once: a process each, all frozen by one checkpoint, three times.
TEST(sleeping_calls_go_on) {
  struct Shared {
    volatile long error;
    volatile double took;
    volatile bool done;
  };
  constexpr size_t kCount = std::size(kSleeps);
  auto* shared = static_cast<Shared*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  double start = Seconds();
  std::vector<std::unique_ptr<Target>> targets;
  for (size_t i = 0; i < kCount; i++)
    targets.push_back(std::make_unique<Target>([&, i](Target& self) {
      self.Ready();
      double start = Seconds();
      shared[i].error = kSleeps[i].call();
      shared[i].took = Seconds() - start;
      shared[i].done = true;
    }));
  Pause(60);
  for (int round = 0; round < 3; round++) {
    Checkpoint checkpoint;
    std::vector<pid_t> pids;
    for (const auto& target : targets) pids.push_back(target->pid());
    Stream stream = Take(checkpoint, pids);
    double oldest = Seconds() - start;
    EXPECT(stream.error.empty(), stream.error);
    for (size_t i = 0; i < kCount; i++) {
      std::string why = CheckSleep(kSleeps[i], stream.At(CRFS_TAG_thread, i + 1).As<crfs_thread>(), 0.05 * (round + 1), oldest);
      EXPECT(why.empty(), std::string(kSleeps[i].name) + ", round " + std::to_string(round) + ": " + why);
    }
    checkpoint.Thaw();
    Pause(50);
  }
  while (Seconds() - start < 5) Pause(20);
  std::string why;
  for (size_t i = 0; i < kCount && why.empty(); i++) {
    std::string name = kSleeps[i].name;
    bool endless = kSleeps[i].least > 50;
    if (shared[i].done == endless)
      why = name + (endless ? " returned " + std::to_string(shared[i].error) : " never returned");
    else if (!endless && shared[i].error)
      why = name + ": " + strerror(static_cast<int>(shared[i].error));
    else if (!endless && (shared[i].took < kSleeps[i].least || shared[i].took > 4.9))
      why = name + " took " + std::to_string(shared[i].took);
  }
  munmap(shared, 4096);
  for (const auto& target : targets) {
    std::string children = ReadFile("/proc/" + std::to_string(target->pid()) + "/task/" +
                                    std::to_string(target->pid()) + "/children");
    if (!children.empty()) kill(static_cast<pid_t>(std::stol(children)), SIGKILL);
  }
  return why;
}

}  // namespace
}  // namespace kmod_test
