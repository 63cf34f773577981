// SPDX-License-Identifier: Apache-2.0
//
// A thread that is stopped within a restartable sequence (rseq(2)) has to be sent to the
// sequence's abort handler when it goes on, though it made other calls meanwhile.

#include <gtest/gtest.h>
#include <linux/rseq.h>
#include <sched.h>
#include <sys/rseq.h>
#include <unistd.h>

#include "tests/ptrace/program.h"

namespace crfs {
namespace {

// Stays within a sequence until `stop` is set, and counts how often it was aborted.
void StayWithin(struct rseq* area, rseq_cs* sequence, std::atomic<int>* stop,
                std::atomic<int64_t>* aborts) {
  asm volatile(
      "leaq 1f(%%rip), %%rax\n"
      "movq %%rax, 8(%[sequence])\n"  // start_ip
      "leaq 2f(%%rip), %%rcx\n"
      "subq %%rax, %%rcx\n"
      "movq %%rcx, 16(%[sequence])\n"  // post_commit_offset
      "leaq 4f(%%rip), %%rax\n"
      "movq %%rax, 24(%[sequence])\n"  // abort_ip
      "jmp 5f\n"
      ".long 0x53053053\n"  // the C library's signature
      "4:\n"
      "incq (%[aborts])\n"
      "5:\n"
      "movq %[sequence], 8(%[area])\n"  // rseq_cs
      "1:\n"
      "cmpl $0, (%[stop])\n"
      "je 1b\n"
      "2:\n"
      "movq $0, 8(%[area])\n"
      :
      : [area] "r"(area), [sequence] "r"(sequence), [stop] "r"(stop), [aborts] "r"(aborts)
      : "rax", "rcx", "memory", "cc");
}

TEST(Rseq, SequenceIsAbortedByACheckpoint) {
  if (__rseq_size == 0) GTEST_SKIP() << "the C library has registered no rseq(2)";
  Program program([](Board& board) {
    // With nobody to preempt it, it is aborted by the checkpoint alone.
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    ::sched_setaffinity(0, sizeof(cpus), &cpus);
    const sched_param parameters = {.sched_priority = 1};
    ::sched_setscheduler(0, SCHED_FIFO, &parameters);
    auto* area = reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) +
                                                __rseq_offset);
    alignas(32) static rseq_cs sequence = {};
    board.ready = 1;
    StayWithin(area, &sequence, &board.go, &board.value[0]);
  });
  for (int round = 0; round < 3; ++round) {
    ::usleep(2000);
    const int64_t before = program.board().value[0];
    program.Save();
    EXPECT_TRUE(Eventually([&] { return program.board().value[0] > before; }));
  }
  program.board().go = 1;
  EXPECT_EQ(program.Wait(), 0);
}

}  // namespace
}  // namespace crfs
