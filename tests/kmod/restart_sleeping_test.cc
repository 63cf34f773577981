// SPDX-License-Identifier: Apache-2.0
//
// Threads that sleep in system calls are saved, killed and restarted: each call goes on as if
// nothing had happened, with the time that remained.

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

// In memory that the programs and the test share; their descriptors are made before them.
struct Shared {
  int pipe[2];
  int epoll;
  std::atomic<uint32_t> word;
  struct {
    std::atomic<bool> done;
    std::atomic<long> error;
    std::atomic<double> end;
  } of[32];
};
Shared* shared;

long Result(long value) { return value < 0 ? errno : 0; }
long ButFor(long error, long value) {
  return Result(value) == error ? 0 : Result(value) ? Result(value) : 1000;
}

constexpr time_t kSeconds = 6;

struct Call {
  const char* name;
  long (*call)();
  bool timed;
  bool anew;  // its time begins anew: the kernel does not tell how much was left
};

const Call kCalls[] = {
    {"nanosleep",
     [] {
       timespec t{kSeconds, 0};
       return Result(syscall(SYS_nanosleep, &t, nullptr));
     },
     true, false},
    {"nanosleep with rest",
     [] {
       timespec t{kSeconds, 0}, rest;
       return Result(syscall(SYS_nanosleep, &t, &rest));
     },
     true, false},
    {"clock_nanosleep",
     [] {
       timespec t{kSeconds, 0};
       return long{clock_nanosleep(CLOCK_BOOTTIME, 0, &t, nullptr)};
     },
     true, false},
    {"clock_nanosleep to a time",
     [] {
       timespec t;
       clock_gettime(CLOCK_REALTIME, &t);
       t.tv_sec += kSeconds;
       return long{clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, nullptr)};
     },
     true, false},
    {"poll",
     [] {
       pollfd p{shared->pipe[0], POLLPRI, 0};
       return Result(syscall(SYS_poll, &p, 1, kSeconds * 1000));
     },
     true, false},
    {"ppoll",
     [] {
       timespec t{kSeconds, 0};
       return Result(syscall(SYS_ppoll, nullptr, 0, &t, nullptr, 8));
     },
     true, false},
    {"select",
     [] {
       timeval t{kSeconds, 0};
       return Result(syscall(SYS_select, 0, nullptr, nullptr, nullptr, &t));
     },
     true, false},
    {"pselect",
     [] {
       timespec t{kSeconds, 0};
       return Result(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &t, nullptr));
     },
     true, false},
    {"futex with a time",
     [] {
       static int word;
       timespec t{kSeconds, 0};
       return ButFor(ETIMEDOUT, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, nullptr, 0));
     },
     true, false},
    {"epoll_wait",
     [] {
       epoll_event e;
       return Result(syscall(SYS_epoll_wait, shared->epoll, &e, 1, kSeconds * 1000));
     },
     true, true},
    {"sigtimedwait",
     [] {
       sigset_t set;
       sigemptyset(&set);
       sigaddset(&set, SIGUSR2);
       timespec t{kSeconds, 0};
       return ButFor(EAGAIN, syscall(SYS_rt_sigtimedwait, &set, nullptr, &t, 8));
     },
     true, true},
    // What ends these comes after the restart.
    {"futex",
     [] { return Result(syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, nullptr, nullptr, 0)); },
     false, false},
    {"read",
     [] {
       char byte;
       return Result(read(shared->pipe[0], &byte, 1));
     },
     false, false},
    {"poll for ever",
     [] {
       pollfd p{shared->pipe[0], POLLIN, 0};
       return Result(poll(&p, 1, -1));
     },
     false, false},
    {"pause", [] { return ButFor(EINTR, pause()); }, false, false},
    {"sigsuspend",
     [] {
       sigset_t set;
       sigemptyset(&set);
       return ButFor(EINTR, sigsuspend(&set));
     },
     false, false},
    {"wait4", [] { return Result(waitpid(-1, nullptr, 0)); }, false, false},
};

// What they were waiting for; one byte for the reader, one that poll sees.
void EndAll(const std::vector<std::unique_ptr<Target>>& targets, pid_t child) {
  shared->word = 1;
  syscall(SYS_futex, &shared->word, FUTEX_WAKE, 100, nullptr, nullptr, 0);
  if (write(shared->pipe[1], "xx", 2) != 2) abort();
  kill(child, SIGKILL);
  for (size_t i = 0; i < targets.size(); i++)
    if (strcmp(kCalls[i].name, "pause") == 0 || strcmp(kCalls[i].name, "sigsuspend") == 0)
      kill(targets[i]->pid(), SIGUSR1);
}

void Sleeper(Target& self, size_t i) {
  signal(SIGUSR1, [](int) {});
  pid_t child = 0;
  if (strcmp(kCalls[i].name, "wait4") == 0 && (child = fork()) == 0)
    for (;;) pause();
  self.Ready(static_cast<uint64_t>(child));
  long error = kCalls[i].call();
  shared->of[i].end = Seconds();
  shared->of[i].error = error;
  shared->of[i].done = true;
  for (;;) pause();
}

TEST(restart_sleeping_calls_go_on) {
  shared = static_cast<Shared*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (pipe(shared->pipe) != 0) return "pipe";
  shared->epoll = epoll_create1(0);
  std::vector<std::unique_ptr<Target>> targets;
  std::vector<pid_t> pids;
  std::vector<double> begun;
  pid_t child = 0;
  for (size_t i = 0; i < std::size(kCalls); i++) {
    targets.push_back(std::make_unique<Target>([i](Target& self) { Sleeper(self, i); }));
    begun.push_back(Seconds());
    pids.push_back(targets.back()->pid());
    if (targets.back()->word()) child = static_cast<pid_t>(targets.back()->word());
  }
  pids.push_back(child);
  Pause(500);
  double frozen = Seconds();
  Saved saved = Save(pids);
  EXPECT(saved.error.empty(), saved.error);
  double thawed = Seconds();
  kill(child, SIGSTOP);  // so that its parent does not see it end
  for (const auto& target : targets) Kill(target->pid());
  Kill(child);
  while (!ReadFile("/proc/" + std::to_string(child) + "/comm").empty()) Pause(5);
  for (size_t i = 0; i < targets.size(); i++)
    EXPECT(!shared->of[i].done, std::string(kCalls[i].name) + " ended too early");
  Pause(1500);  // time that does not count
  Restart restart;
  double start = Seconds();
  std::string why = restart.Run(saved);
  EXPECT(why.empty(), why);
  double started = Seconds();
  Pause(100);
  EndAll(targets, child);
  while (Seconds() - started < kSeconds + 1) Pause(20);
  for (size_t i = 0; i < targets.size(); i++) {
    const Call& call = kCalls[i];
    std::string name = call.name;
    EXPECT(shared->of[i].done, name + " never returned");
    EXPECT(shared->of[i].error == 0, name + ": " + strerror(static_cast<int>(shared->of[i].error)));
    if (!call.timed) continue;
    bool to_a_time = strstr(call.name, "to a time");
    // The least and the most that can have been left when it was frozen; it goes on with START.
    double least = kSeconds - (thawed - begun[i]) - 0.05,
           most = kSeconds - (frozen - begun[i]) + 0.05;
    double took = shared->of[i].end - started;
    if (to_a_time) least = most = begun[i] + kSeconds - started;
    if (call.anew) least = most = kSeconds;
    EXPECT(took > least - (started - start) && took < most + 0.3,
           name + " took " + std::to_string(took) + " s, not " + std::to_string(least) + " to " +
               std::to_string(most));
  }
  close(shared->pipe[0]);
  close(shared->pipe[1]);
  close(shared->epoll);
  munmap(shared, 4096);
  return "";
}

}  // namespace
}  // namespace kmod_test
