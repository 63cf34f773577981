// SPDX-License-Identifier: Apache-2.0
//
// Threads of the holder that fill memory along with those that build.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kWhole = 96 << 20;      // all of it is saved
constexpr size_t kScattered = 16 << 20;  // every third page of it is

void Write(char* memory, size_t size, size_t step) {
  for (size_t at = 0; at < size; at += step * kPage)
    for (size_t word = 0; word < kPage / sizeof(uint64_t); word += 16)
      reinterpret_cast<uint64_t*>(memory + at)[word] = at + word + 1;
}

// A program with much memory, that waits.
void BeBig(Target& self) {
  for (const auto& [size, step] : {std::pair{kWhole, size_t{1}}, std::pair{kScattered, size_t{3}}})
    Write(static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
          size, step);
  self.Ready();
  for (;;) pause();
}

// All is loaded and made, and waits to be built.
std::string GatherAll(Restart& restart, Saved& saved) {
  std::string why = restart.Load(saved);
  if (why.empty()) why = restart.Make(saved, nullptr);
  if (!why.empty()) return why;
  EXPECT_EQ(restart.Gather(), 0);
  return "";
}

long FaultsOfThisThread() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

TEST(restart_help_fills_what_was_there) {
  Target target(BeBig);
  EXPECT(Settles(target.pid()), "it does not wait");
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  why = GatherAll(restart, saved);
  EXPECT(why.empty(), why);
  std::atomic<long> faults[3] = {};
  std::vector<std::thread> helpers;
  for (std::atomic<long>& mine : faults)
    helpers.emplace_back([&] {
      const long before = FaultsOfThisThread();
      restart.Help();
      mine = FaultsOfThisThread() - before;
    });
  const int built = restart.Build();
  for (std::thread& helper : helpers) helper.join();
  EXPECT_EQ(built, 0);
  EXPECT_EQ(restart.Start(), 0);
  EXPECT(faults[0] + faults[1] + faults[2] > 40, "the helpers have filled nothing");
  EXPECT(Settles(target.pid()), "it does not wait as before");
  Saved again = Save({target.pid()});
  EXPECT(again.error.empty(), again.error);
  EXPECT_EQ(Differences(saved, again), std::string());
  return "";
}

TEST(restart_help_at_other_times) {
  Target target(BeBig);
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  EXPECT_EQ(restart.Help(), -EINVAL);  // it is too early
  why = GatherAll(restart, saved);
  EXPECT(why.empty(), why);
  crfs_ioc_help flags{sizeof(flags), 1};
  EXPECT_EQ(ioctl(restart.fd(), CRFS_IOC_HELP, &flags), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(restart.BuildWithHelp(2), 0);
  EXPECT_EQ(restart.Help(), -EINVAL);  // it is too late
  EXPECT_EQ(restart.Start(), 0);
  EXPECT_EQ(restart.Help(), -ENODEV);
  return "";
}

// Who waits to help goes when nothing will be built.
TEST(restart_help_ends_with_a_close) {
  Target target(BeBig);
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  Restart restart;
  why = GatherAll(restart, saved);
  EXPECT(why.empty(), why);
  std::atomic<bool> over{false};
  std::thread helper([&, fd = restart.fd()] {
    crfs_ioc_help args{sizeof(args), 0};
    ioctl(fd, CRFS_IOC_HELP, &args);
    over = true;
  });
  Pause(100);
  const bool waited = !over;
  restart.Close();
  double end = Seconds() + 5;
  while (!over && Seconds() < end) Pause(1);
  EXPECT(over, "the helper still waits");  // and is still in the call: it cannot be joined
  helper.join();
  EXPECT(waited, "the helper did not wait");
  return "";
}

// A file that ends too early is found whoever reads it, and its mapping is named.
TEST(restart_help_file_too_short) {
  Target target(BeBig);
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  EXPECT_EQ(ftruncate(saved.memory.get(), kWhole / 2), 0);
  Restart restart;
  why = GatherAll(restart, saved);
  EXPECT(why.empty(), why);
  EXPECT_EQ(restart.BuildWithHelp(2), -ENODATA);
  EXPECT_EQ(restart.step.type, uint32_t{CRFS_TAG_vma});
  EXPECT(restart.step.id != 0 && restart.step.detail % kPage == 0, restart.Fault());
  for (int i = 0; i < 500 && StateOf(target.pid()) != 'Z'; i++) Pause(10);
  EXPECT_EQ(StateOf(target.pid()), 'Z');
  return "";
}

// A builder that dies leaves its memory to helpers for as long as they are at it, not longer.
TEST(restart_help_survives_the_builder) {
  Target target(BeBig);
  Saved saved;
  std::string why = SaveAndKill(target, &saved);
  EXPECT(why.empty(), why);
  for (int i = 0; i < 8; i++) {
    Restart restart;
    why = GatherAll(restart, saved);
    EXPECT(why.empty(), why);
    std::thread killer([&] {
      Pause(20 * i);
      kill(target.pid(), SIGKILL);
    });
    const int error = restart.BuildWithHelp(2);
    killer.join();
    EXPECT(error == -ESRCH || error == -EINTR || (error == 0 && i > 0), "BUILD " + std::to_string(error));
    restart.Close();
    for (int wait = 0; wait < 500 && StateOf(target.pid()) != 'Z'; wait++) Pause(10);
    Kill(target.pid());
  }
  return "";
}

}  // namespace
}  // namespace kmod_test
