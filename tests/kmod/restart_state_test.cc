// SPDX-License-Identifier: Apache-2.0
//
// Every row that the module restores: saved, restarted, saved again, compared. Each case
// makes a state that differs from what a new process has, so that a step left out shows.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <thread>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

constexpr size_t kPage = 4096;

// Saves, kills, restarts, saves again. The target must stand still by itself.
std::string RoundTrip(const Target& target, Saved* after) {
  EXPECT(Settles(target.pid()), "it does not stand still");
  Saved saved = Save({target.pid()});
  EXPECT(saved.error.empty(), saved.error);
  Kill(target.pid());
  Restart restart;
  std::string why = restart.Run(saved);
  EXPECT(why.empty(), why);
  restart.Close();
  EXPECT(Settles(target.pid()), "it does not stand still");
  *after = Save({target.pid()});
  EXPECT(after->error.empty(), after->error);
  return Differences(saved, *after);
}

std::string RoundTrip(const Target& target) {
  Saved after;
  return RoundTrip(target, &after);
}

char* Map(size_t pages, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  void* at = mmap(nullptr, pages * kPage, prot, flags, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

TEST(restart_memory_rows) {
  Target target([](Target& self) {
    int fd = open("/tmp/restart-memory", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (ftruncate(fd, 16 * kPage) != 0) _exit(1);
    char* plain = Map(64, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 64; i += 3) memset(plain + i * kPage, static_cast<int>(i), kPage);
    char* hidden = Map(4, PROT_READ | PROT_WRITE);
    memset(hidden, 0x5a, 2 * kPage);
    mprotect(hidden, 4 * kPage, PROT_NONE);
    char* constant = Map(4, PROT_READ | PROT_WRITE);
    memset(constant, 0x77, kPage);
    mprotect(constant, 4 * kPage, PROT_READ);
    char* sparse = Map(1UL << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    for (size_t i = 0; i < 4; i++) sparse[(i << 38) + 12345] = 'x';
    char* code = Map(1, PROT_READ | PROT_WRITE);
    memset(code, 0x90, kPage);
    mprotect(code, kPage, PROT_READ | PROT_EXEC);
    Map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN)[3 * kPage] = 'g';
    Map(4, PROT_READ, MAP_PRIVATE, fd);
    Map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)[kPage] = 'c';
    Map(4, PROT_READ | PROT_WRITE, MAP_SHARED, fd)[kPage] = 's';
    Map(4, PROT_READ, MAP_SHARED, open("/tmp/restart-memory", O_RDONLY));
    for (int advice : {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_SEQUENTIAL, MADV_RANDOM, MADV_HUGEPAGE, MADV_NOHUGEPAGE}) {
      char* advised = Map(4, PROT_READ | PROT_WRITE);
      advised[0] = static_cast<char>(advice);
      madvise(advised, 4 * kPage, advice);
      Map(1, PROT_NONE);
    }
    mlock(Map(4, PROT_READ | PROT_WRITE), 4 * kPage);
    syscall(SYS_mlock2, Map(4, PROT_READ | PROT_WRITE), 4 * kPage, MLOCK_ONFAULT);
    // Neighbours that are equal, but were made apart.
    char* wide = Map(8, PROT_NONE);
    for (size_t i = 0; i < 8; i += 2) {
      mprotect(wide + i * kPage, kPage, PROT_READ | PROT_WRITE);
      wide[i * kPage] = 'n';
    }
    mprotect(wide, 8 * kPage, PROT_READ | PROT_WRITE);
    if (sbrk(40 * kPage) == nullptr) _exit(2);
    self.Ready();
    for (;;) pause();
  });
  std::string why = RoundTrip(target);
  unlink("/tmp/restart-memory");
  return why;
}

TEST(restart_mm_rows) {
  Target target([](Target& self) {
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    Fd filter(open("/proc/self/coredump_filter", O_WRONLY));
    if (write(filter.get(), "0x55", 4) != 4) _exit(1);
    mlockall(MCL_FUTURE);
    char* text = strcpy(Map(1, PROT_READ | PROT_WRITE), "a name of its own");
    if (prctl(PR_SET_MM, PR_SET_MM_ARG_START, text, 0, 0) != 0 ||
        prctl(PR_SET_MM, PR_SET_MM_ARG_END, text + 18, 0, 0) != 0)
      _exit(errno);
    self.Ready();
    for (;;) pause();
  });
  Saved after;
  std::string why = RoundTrip(target, &after);
  EXPECT(why.empty(), why);
  const auto& mm = after.Wire<crfs_mm>(CRFS_TAG_mm, 1);
  EXPECT_EQ(mm.dumpable, 0u);
  EXPECT_EQ(mm.thp_disable, 1u);
  EXPECT_EQ(mm.coredump_filter, 0x55u);
  EXPECT_EQ(mm.def_flags, 1ULL << CRFS_vma_flags_lo);
  EXPECT_EQ(ReadFile("/proc/" + std::to_string(target.pid()) + "/cmdline").substr(0, 17), std::string("a name of its own"));
  return "";
}

void Handler(int) {}

TEST(restart_signal_rows) {
  Target target([](Target& self) {
    struct sigaction action {};
    action.sa_handler = Handler;
    action.sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER;
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &action, nullptr);
    sigaction(SIGRTMAX, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    static char alternative[65536];
    stack_t stack{alternative, 0, sizeof(alternative)};
    sigaltstack(&stack, nullptr);
    sigset_t set;
    sigemptyset(&set);
    for (int signo : {int{SIGTERM}, int{SIGRTMIN}, int{SIGRTMIN + 1}, int{SIGTSTP}, int{SIGALRM}}) sigaddset(&set, signo);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::thread([] {
      stack_t none{nullptr, SS_DISABLE, 0};
      sigaltstack(&none, nullptr);
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
      union sigval value;
      value.sival_int = 815;
      pthread_sigqueue(pthread_self(), SIGUSR2, value);
      for (;;) pause();
    }).detach();
    union sigval value;
    for (value.sival_int = 0; value.sival_int < 5; value.sival_int++) sigqueue(getpid(), SIGRTMIN + value.sival_int % 2, value);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGTSTP);
    syscall(SYS_tgkill, getpid(), getpid(), SIGTERM);
    itimerval timer{{100, 0}, {1000, 0}};
    setitimer(ITIMER_REAL, &timer, nullptr);
    self.Ready();
    // With another mask than the one that comes back with the end of the call.
    sigset_t other;
    sigfillset(&other);
    sigdelset(&other, SIGWINCH);
    for (;;) sigsuspend(&other);
  });
  Saved after;
  std::string why = RoundTrip(target, &after);
  EXPECT(why.empty(), why);
  EXPECT_EQ(after.stream.Of(CRFS_TAG_signal).size(), 7u);
  EXPECT_EQ(after.stream.Of(CRFS_TAG_thread_signal).size(), 2u);
  const auto& task = after.Wire<crfs_task>(CRFS_TAG_task, 1);
  EXPECT(task.itimer_real_value > 990000000000u && task.itimer_real_value < 1000000000000u, std::to_string(task.itimer_real_value));
  return "";
}

// A new kernel stack, a new sigframe: what a handler sees is what it would have seen.
TEST(restart_signals_arrive) {
  struct Seen {
    volatile int count, value[8], on_stack;
    volatile pid_t sender;
  };
  static Seen* seen = static_cast<Seen*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  static char alternative[65536];
  Target target([](Target& self) {
    stack_t stack{alternative, 0, sizeof(alternative)};
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      char here;
      seen->value[seen->count] = info->si_value.sival_int;
      seen->count = seen->count + 1;
      seen->sender = info->si_pid;
      seen->on_stack = &here >= alternative && &here < alternative + sizeof(alternative);
    };
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGRTMIN, &action, nullptr);
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    union sigval value;
    for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++) sigqueue(getpid(), SIGRTMIN, value);
    self.Ready();
    while (!seen->value[7]) usleep(1000);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (;;) self.Beat(), Pause(1);
  });
  Saved saved = Save({target.pid()});
  EXPECT(saved.error.empty(), saved.error);
  Kill(target.pid());
  Restart restart;
  std::string why = restart.Run(saved);
  EXPECT(why.empty(), why);
  seen->value[7] = 1;
  EXPECT(target.Runs(), "it does not go on");
  EXPECT_EQ(int{seen->count}, 3);
  for (int i = 0; i < 3; i++) EXPECT_EQ(int{seen->value[i]}, i + 1);
  EXPECT_EQ(int{seen->on_stack}, 1);
  EXPECT_EQ(pid_t{seen->sender}, target.pid());
  munmap(seen, kPage);
  return "";
}

}  // namespace
}  // namespace kmod_test
