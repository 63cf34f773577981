// SPDX-License-Identifier: Apache-2.0
//
// System calls that a stopped thread is made to make, for what it alone can ask the kernel.
//
// Its instruction pointer is put on a `syscall` instruction of its own program (the vdso has
// one), and it runs from one edge of a call to the other; not one instruction of its own runs.
// None of the calls sleeps or touches the restart block of the call that it was interrupted in
// (nanosleep(2), poll(2), futex(2) would), so that the kernel still restarts that one.
//
// THE WINDOW: between Begin and End its registers are not its own and all of its signals are
// blocked. If its tracer died there, it would go on with them. So signals that end crfs are held
// back meanwhile, and who takes checkpoints is a process of its own (engine/ptrace_tracer.h) that
// does not die with crfs: what remains is SIGKILL for the very process that traces.

#ifndef CRFS_ENGINE_PTRACE_CALL_H_
#define CRFS_ENGINE_PTRACE_CALL_H_

#include <sys/user.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/blocked_signals.h"
#include "engine/ptrace_thread.h"

namespace crfs {

// The address of a `syscall` instruction in a task's memory. FAILED_PRECONDITION: there is none.
absl::StatusOr<uint64_t> FindSyscallInstruction(pid_t pid);

// The registers of a thread that makes a call at a `syscall` instruction; the others are those of
// `before`. At most six arguments.
user_regs_struct CallRegisters(const user_regs_struct& before, uint64_t instruction, long number,
                               std::initializer_list<uint64_t> arguments);
// Has a stopped thread make the call of such registers; its result, minus an errno for an error.
absl::StatusOr<long> CallWith(TracedThread& thread, const user_regs_struct& registers);

// A page of the thread's own address space that the kernel may write results into lies in it for
// as long as this lives.
class ThreadCalls {
 public:
  // The thread stands as Interrupt leaves it, and must outlive this. `sleeps_with_other_mask`: in a
  // call that has set other blocked signals for as long as it lasts (SleepsWithOtherMask). Only the
  // kernel can set both masks, so the thread enters that call again in the end.
  ThreadCalls(TracedThread& thread, uint64_t instruction, bool sleeps_with_other_mask = false)
      : thread_(thread),
        instruction_(instruction),
        sleeps_with_other_mask_(sleeps_with_other_mask) {}
  ThreadCalls(const ThreadCalls&) = delete;
  ThreadCalls& operator=(const ThreadCalls&) = delete;
  ~ThreadCalls() { (void)End(); }

  absl::Status Begin();
  // Puts everything back; the thread stands as before. Does nothing the second time.
  absl::Status End();

  // The address of the page, of which a program's size is no part.
  uint64_t page() const { return page_; }
  static constexpr uint64_t kPageSize = 4096;

  // As CallWith.
  absl::StatusOr<long> Call(long number, std::initializer_list<uint64_t> arguments) {
    return CallAt(instruction_, number, arguments);
  }
  // The same at another `syscall` instruction.
  absl::StatusOr<long> CallAt(uint64_t instruction, long number,
                              std::initializer_list<uint64_t> arguments);
  // In a copy of the memory that was made meanwhile, the restartable sequence that the thread
  // stands in is missing: puts it back.
  absl::Status PutSequenceBack(const TracedThread& copy) const;
  // What stands in the page.
  absl::Status Read(uint64_t offset, std::span<char> buffer) const;
  template <typename T>
  absl::StatusOr<T> Read(uint64_t offset = 0) const {
    T value;
    absl::Status status = Read(offset, std::span(reinterpret_cast<char*>(&value), sizeof(value)));
    if (!status.ok()) return status;
    return value;
  }

 private:
  void KeepRestartableSequence();
  bool WriteRestartableSequence(const TracedThread& thread) const;
  absl::Status SetMask(uint64_t mask) const;
  absl::Status Restore();
  absl::Status SleepAgain();

  TracedThread& thread_;
  const uint64_t instruction_;
  const bool sleeps_with_other_mask_;
  std::optional<BlockedSignals> blocked_;  // while the window is open
  bool ran_ = false;                       // stands at the exit of a call
  user_regs_struct registers_ = {};
  uint64_t mask_ = 0;
  uint64_t rseq_address_ = 0;  // rseq(2); 0: none
  std::string rseq_;           // what stands there
  uint64_t page_ = 0;
};

// rseq(2) of a thread; address 0: none is registered.
struct RestartableSequence {
  uint64_t address = 0;
  uint32_t length = 0;
  uint32_t signature = 0;
};
RestartableSequence GetRestartableSequence(const TracedThread& thread);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_CALL_H_
