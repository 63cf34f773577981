// SPDX-License-Identifier: Apache-2.0
//
// What only a thread itself can ask the kernel about it, its task and its address space.

#ifndef CRFS_ENGINE_PTRACE_ANSWERS_H_
#define CRFS_ENGINE_PTRACE_ANSWERS_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "crfs/words.h"
#include "engine/ptrace_thread.h"

namespace crfs {

// The bit of a `blockers` row.
inline uint32_t Blocker(crfs_blockers bit) { return uint32_t{1} << bit; }

struct ThreadAnswers {
  uint64_t altstack_sp = 0;
  uint32_t altstack_flags = 0;
  uint64_t altstack_size = 0;
  uint64_t clear_child_tid = 0;
  uint32_t pdeath_signal = 0;
  uint64_t timerslack = 0;
  uint32_t securebits = 0;
  uint32_t blockers = 0;  // of Blocker()
};

struct TaskAnswers {
  struct Timer {
    uint64_t value = 0;  // nanoseconds
    uint64_t interval = 0;
  };
  std::array<Timer, 3> timers;  // ITIMER_REAL, _VIRTUAL, _PROF
  uint32_t child_subreaper = 0;
};

struct MmAnswers {
  uint64_t brk = 0;
  uint32_t dumpable = 0;
  uint32_t thp_disable = 0;
  uint64_t def_flags = 0;  // 1 << CRFS_vma_flags_*
  uint32_t blockers = 0;
};

// As rt_sigaction(2) has it.
struct SignalAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};
constexpr int kSignalMax = 64;
using SignalActions = std::array<SignalAction, kSignalMax>;

struct Answers {
  ThreadAnswers thread;
  TaskAnswers task;       // if it was asked for the task
  MmAnswers mm;           // likewise
  SignalActions actions;  // likewise
};

// The thread must be stopped, and stands so again. `whole_task`: also what it shares with all
// threads of its task. `instruction` as of FindSyscallInstruction.
absl::StatusOr<Answers> AskThread(TracedThread& thread, uint64_t instruction,
                                  bool sleeps_with_other_mask, bool whole_task);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_ANSWERS_H_
