// SPDX-License-Identifier: Apache-2.0
//
// Many checkpoints of changing targets under load. `churn` is the everyday length;
// `stress_long` (asked for by name) is the long one.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <thread>

#include "harness.h"

namespace kmod_test {
namespace {

// Threads that map, unmap, open, close, sleep, compute and come and go.
void Change(Target& self, unsigned seed) {
  self.Ready();
  auto work = [&self](unsigned random) {
    for (int i = 0; i < 30; i++) {
      random = random * 1103515245 + 12345;
      switch (random >> 16 & 3) {
        case 0: {
          auto* at = static_cast<char*>(mmap(nullptr, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
          for (int page = 0; page < 16; page += 2) at[page * 4096] = 1;
          munmap(at, 64 << 10);
          break;
        }
        case 1: close(open("/dev/zero", O_RDONLY)); break;
        case 2: usleep(200); break;
        default:
          for (int spin = 0; spin < 20000; spin++) asm volatile("");
      }
      self.Beat();
    }
  };
  for (unsigned round = seed;; round++) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 3; i++) threads.emplace_back(work, round * 31 + i);
    for (auto& thread : threads) thread.join();
  }
}

std::string Churn(int rounds) {
  constexpr size_t kTargets = 4;
  std::vector<std::unique_ptr<Target>> targets(kTargets);
  Target load([](Target& self) {
    self.Ready();
    for (;;) {
      if (fork() == 0) _exit(0);
      wait(nullptr);
    }
  });
  std::vector<std::thread> takers;
  std::vector<std::string> why(2);
  for (size_t i = 0; i < kTargets; i++)
    targets[i] = std::make_unique<Target>([i](Target& self) { Change(self, static_cast<unsigned>(i)); });
  for (size_t taker = 0; taker < why.size(); taker++)
    takers.emplace_back([&, taker] {
      for (int round = 0; round < rounds && why[taker].empty(); round++) {
        Checkpoint checkpoint;
        pid_t a = targets[taker * 2]->pid(), b = targets[taker * 2 + 1]->pid();
        Stream stream = Take(checkpoint, {a, b});
        if (!stream.error.empty()) why[taker] = stream.error;
        if (round % 3 == 0) {
          Fd memory = checkpoint.Memory(CRFS_TAG_mm, 1 + static_cast<uint64_t>(round % 2));
          std::vector<char> buffer(256 << 10);
          for (const Object& object : stream.Of(CRFS_TAG_vma))
            if (pread(memory.get(), buffer.data(), buffer.size(), static_cast<off_t>(object.As<crfs_vma>().start)) < 0) continue;
        }
        if (round % 2) checkpoint.Thaw();
      }
    });
  for (auto& taker : takers) taker.join();
  for (const auto& reason : why) EXPECT(reason.empty(), reason);
  for (const auto& target : targets) EXPECT(target->Runs(), "a target does not go on");
  return "";
}

TEST(churn) { return Churn(120); }
TEST(stress_long) { return Churn(1500); }

}  // namespace
}  // namespace kmod_test
