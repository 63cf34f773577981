// SPDX-License-Identifier: Apache-2.0
//
// Programs that are saved, killed, and made again where they were.

#include <immintrin.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "harness.h"
#include "restarter.h"

namespace kmod_test {
namespace {

TEST(restart_one_thread) {
  Target target([](Target& self) {
    self.Ready();
    for (;;) self.Beat(), Pause(1);
  });
  Saved saved = Save({target.pid()});
  EXPECT(saved.error.empty(), saved.error);
  Kill(target.pid());
  uint64_t before = target.beats();
  Restart restart;
  std::string why = restart.Run(saved);
  EXPECT(why.empty(), why);
  EXPECT(target.Runs(), "the restarted program does not go on");
  EXPECT(target.beats() > before, "it does not beat");
  EXPECT_EQ(StateOf(target.pid()) == 'Z', false);
  return "";
}

// Four threads, each with a sum in a vector register that nothing else holds, and a counter
// in its thread area. Word 0 of the shared page tells of a mistake.
struct Vectors {
  std::atomic<uint64_t> mistakes;
  std::atomic<uint64_t> rounds[4];
};
thread_local uint64_t local_rounds;

[[gnu::target("avx2")]] void Spin(Vectors* shared, int number) {
  __m256i sum = _mm256_set1_epi64x(number);
  const __m256i step = _mm256_set1_epi64x(number + 1);
  for (uint64_t round = 1;; round++) {
    for (int i = 0; i < 1000; i++) {
      sum = _mm256_add_epi64(sum, step);
      asm volatile("" : "+x"(sum));
    }
    local_rounds++;
    uint64_t lanes[4];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum);
    for (uint64_t lane : lanes)
      if (lane != static_cast<uint64_t>(number) + round * 1000 * (static_cast<uint64_t>(number) + 1)) shared->mistakes++;
    if (local_rounds != round) shared->mistakes++;
    shared->rounds[number] = round;
  }
}

TEST(restart_threads_with_vectors) {
  auto* shared = static_cast<Vectors*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  Target target([&](Target& self) {
    std::thread threads[3];
    for (int i = 0; i < 3; i++) threads[i] = std::thread(Spin, shared, i + 1);
    while (!shared->rounds[1] || !shared->rounds[2] || !shared->rounds[3]) Pause(1);
    self.Ready();
    Spin(shared, 0);
  });
  std::string why;
  for (int i = 0; i < 5 && why.empty(); i++) {
    Pause(10);
    Saved saved = Save({target.pid()});
    EXPECT(saved.error.empty(), saved.error);
    EXPECT_EQ(saved.stream.Of(CRFS_TAG_thread).size(), 4u);
    Kill(target.pid());
    uint64_t before[4];
    for (int n = 0; n < 4; n++) before[n] = shared->rounds[n];
    Restart restart;
    why = restart.Run(saved);
    EXPECT(why.empty(), why);
    restart.Close();
    double end = Seconds() + 10;
    for (int n = 0; n < 4; n++) {
      while (shared->rounds[n] < before[n] + 2 && Seconds() < end) Pause(1);
      EXPECT(shared->rounds[n] >= before[n] + 2, "thread " + std::to_string(n) + " stands still");
    }
    EXPECT_EQ(shared->mistakes.load(), 0u);
  }
  munmap(shared, 4096);
  return why;
}

}  // namespace
}  // namespace kmod_test
