// SPDX-License-Identifier: Apache-2.0
//
// What counts against a limit, and what the kernel lets nobody have: a restart is no way round.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

constexpr size_t kPage = 4096;

char* Map(size_t pages, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
  void* at = mmap(nullptr, pages * kPage, prot, flags, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

// Restarts it as the given record says and returns a number of /proc/PID/status.
std::string Rebuild(Target& target, const std::function<void(Saved&)>& change, int* start) {
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  change(saved);
  Restart restart;
  *start = restart.Load(saved).empty() ? 0 : -EBADMSG;
  if (*start) return "";
  why = restart.Make(saved, nullptr);
  EXPECT(why.empty(), why);
  *start = restart.Gather();
  if (!*start) *start = restart.Build();
  if (!*start) *start = restart.Start();
  return "";
}

crfs_vma* VmaAt(Saved& saved, uint64_t address) {
  for (const Object& object : saved.stream.Of(CRFS_TAG_vma))
    if (object.As<crfs_vma>().start == address)
      return &saved.Wire<crfs_vma>(CRFS_TAG_vma, object.id);
  return nullptr;
}

long KiB(pid_t pid, const char* name) { return atol(Status(pid, name).c_str()); }

// Mappings that once could be written are counted as what they are, so no limit is lost.
TEST(restart_limits_accounting) {
  Target target([](Target& self) {
    char* stack = Map(1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN);
    mprotect(stack, 1000 * kPage, PROT_READ);
    char* code = Map(1000, PROT_READ | PROT_WRITE);
    mprotect(code, 1000 * kPage, PROT_READ | PROT_EXEC);
    self.Ready();
    for (;;) pause();
  });
  long before[] = {KiB(target.pid(), "VmData"), KiB(target.pid(), "VmStk"),
                   KiB(target.pid(), "VmSize")};
  int error = 0;
  std::string why = Rebuild(
      target, [](Saved&) {}, &error);
  EXPECT(why.empty(), why);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(KiB(target.pid(), "VmData"), before[0]);
  EXPECT_EQ(KiB(target.pid(), "VmStk"), before[1]);
  EXPECT_EQ(KiB(target.pid(), "VmSize"), before[2]);
  EXPECT(KiB(target.pid(), "VmLib") < 1 << 20, Status(target.pid(), "VmLib"));
  return "";
}

// Locked memory that is not to be written has no page that can be.
TEST(restart_limits_locked_constant) {
  auto* shared = Map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Target target([=](Target& self) {
    char* constant = Map(8, PROT_READ | PROT_WRITE);
    constant[0] = 'x';
    mlock(constant, 8 * kPage);
    mprotect(constant, 8 * kPage, PROT_READ);
    self.Ready(reinterpret_cast<uint64_t>(constant));
    while (!*static_cast<volatile char*>(shared)) Pause(5);
    for (int page = 1; page < 8; page++) static_cast<volatile char*>(constant)[page * kPage] = 'y';
    shared[1] = 1;
    for (;;) pause();
  });
  int error = 0;
  long locked = KiB(target.pid(), "VmLck");
  std::string why = Rebuild(
      target, [](Saved&) {}, &error);
  EXPECT(why.empty(), why);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(KiB(target.pid(), "VmLck"), locked);
  shared[0] = 1;
  int status = target.Wait();
  EXPECT_EQ(int{shared[1]}, 0);
  EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, std::to_string(status));
  munmap(shared, kPage);
  return "";
}

// A name of a mapping with a newline would forge lines of /proc/PID/maps.
TEST(restart_limits_names) {
  Target target([](Target& self) {
    char* named = Map(4, PROT_READ | PROT_WRITE);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 4 * kPage, "harmless");
    self.Ready(reinterpret_cast<uint64_t>(named));
    for (;;) pause();
  });
  Saved saved = Save({target.pid()});
  EXPECT(saved.error.empty(), saved.error);
  const crfs_vma* vma = VmaAt(saved, target.word());
  if (!vma || !vma->name.length) SKIP("no names of mappings");
  for (char bad : {'\n', '\0', ']', '\x7f', '\xff'}) {
    Saved copy = Save({target.pid()});
    vma = VmaAt(copy, target.word());
    auto* text = const_cast<char*>(reinterpret_cast<const char*>(vma)) - sizeof(crfs_body) +
                 vma->name.offset;
    text[3] = bad;
    Restart restart;
    EXPECT_EQ(restart.Write(RecordsOf(copy.stream)) != 0 || restart.Gather() == -EBADMSG, true);
  }
  return "";
}

// Core files that are root's: what prctl(2) refuses, and root may have.
TEST(restart_limits_dumpable) {
  for (bool root : {true, false}) {
    Target target([](Target& self) {
      self.Ready();
      for (;;) pause();
    });
    Saved saved;
    std::string why = SaveAndKill(target, &saved);
    EXPECT(why.empty(), why);
    saved.Wire<crfs_mm>(CRFS_TAG_mm, 1).dumpable = 2;
    Restart restart;
    why = restart.Load(saved);
    EXPECT(why.empty(), why);
    why = restart.Make(saved, nullptr, [=] {
      if (!root && (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0))
        _exit(95);
    });
    EXPECT(why.empty(), why);
    EXPECT_EQ(restart.Gather(), 0);
    EXPECT_EQ(restart.Build(), root ? 0 : -EPERM);
  }
  return "";
}

// Many of a classic signal, which the kernel queues whatever the limit, count against it.
TEST(restart_limits_signal_limit) {
  Target target([](Target& self) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    kill(getpid(), SIGUSR1);
    self.Ready();
    for (;;) pause();
  });
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  auto& signals = saved.stream.objects[CRFS_TAG_signal];
  EXPECT_EQ(signals.size(), 1u);
  saved.Wire<crfs_signal>(CRFS_TAG_signal, 1).code = 1;
  for (uint64_t id = 2; id <= 200; id++) signals.push_back({id, signals[0].body});
  Restart restart;
  why = restart.Load(saved);
  EXPECT(why.empty(), why);
  why = restart.Make(saved, nullptr, [] {
    rlimit few{50, 50};
    setrlimit(RLIMIT_SIGPENDING, &few);
  });
  EXPECT(why.empty(), why);
  EXPECT_EQ(restart.Gather(), 0);
  EXPECT_EQ(restart.Build(), 0);
  EXPECT_EQ(restart.Start(), -EAGAIN);
  EXPECT_EQ(restart.step.type, uint32_t{CRFS_TAG_signal});
  return "";
}

// Timers of the maker's would go on in the program.
TEST(restart_limits_timers_of_the_maker) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) pause();
  });
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  why = restart.Load(saved);
  EXPECT(why.empty(), why);
  why = restart.Make(saved, nullptr, [] {
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, nullptr, &timer);
  });
  EXPECT(why.empty(), why);
  EXPECT_EQ(restart.Gather(), -EINVAL);
  return "";
}

// Huge pages come only where all of one was saved: a restart takes no memory of its own.
TEST(restart_limits_no_pages_of_its_own) {
  Target target([](Target& self) {
    char* sparse = Map(8192, PROT_READ | PROT_WRITE);
    madvise(sparse, 8192 * kPage, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < 8192; i += 64) sparse[i * kPage] = 'x';
    madvise(sparse, 8192 * kPage, MADV_HUGEPAGE);
    self.Ready();
    for (;;) pause();
  });
  long before = KiB(target.pid(), "RssAnon");
  int error = 0;
  std::string why = Rebuild(
      target, [](Saved&) {}, &error);
  EXPECT(why.empty(), why);
  EXPECT_EQ(error, 0);
  long after = KiB(target.pid(), "RssAnon");
  EXPECT(after < before + 1024, std::to_string(before) + " KiB became " + std::to_string(after));
  return "";
}

}  // namespace
}  // namespace kmod_test
