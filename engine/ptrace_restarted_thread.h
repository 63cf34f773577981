// SPDX-License-Identifier: Apache-2.0
//
// One thread that gets back what only it has: registers, signals, how its interrupted system call
// goes on.

#ifndef CRFS_ENGINE_PTRACE_RESTARTED_THREAD_H_
#define CRFS_ENGINE_PTRACE_RESTARTED_THREAD_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_puppet.h"
#include "engine/ptrace_space.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// Messages name the file of the tree at fault. All must outlive this.
class RestartedThread {
 public:
  RestartedThread(const LoadedCheckpoint& checkpoint, const ObjectView& thread, Puppet puppet,
                  AddressSpace& space)
      : checkpoint_(&checkpoint), thread_(thread), puppet_(std::move(puppet)), space_(&space) {}

  const ObjectView& thread() const { return thread_; }
  Puppet& puppet() { return puppet_; }

  // Before its memory goes: the kernel must not write there any more.
  absl::Status LeaveSequence();

  // In this order. What came for the thread in the making is thrown away;
  absl::Status DropSignals();
  // of its task, all handlers are set, signals are pending, and the timer runs: by one thread;
  absl::Status SetActions(const ObjectView& sighand);
  absl::Status QueueTaskSignals(const ObjectView& task);
  absl::Status SetTimer(const ObjectView& task);
  // and by each
  absl::Status QueueOwnSignals();
  absl::Status SetPlaces();
  // Its interrupted call begins, or what it blocks for the time of the call.
  absl::Status EnterCall();
  // It stands as it will when it goes on. No calls any more.
  absl::Status Finish();

 private:
  absl::Status Queue(const ObjectView& signal, uint64_t task, std::optional<uint64_t> thread);
  absl::Status Do(const ObjectView& object, absl::string_view field, long number,
                  std::initializer_list<uint64_t> arguments);
  absl::StatusOr<long> Sleep();
  absl::StatusOr<long> SleepUntil(uint64_t remaining);
  absl::StatusOr<long> Poll(uint64_t remaining);
  absl::StatusOr<long> WaitForFutex(uint64_t remaining);
  user_regs_struct Registers() const;

  const LoadedCheckpoint* checkpoint_;
  ObjectView thread_;
  Puppet puppet_;
  AddressSpace* space_;
  uint64_t critical_section_ = 0;  // of its rseq
  std::optional<long> result_;     // of a call that was over at once
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_RESTARTED_THREAD_H_
