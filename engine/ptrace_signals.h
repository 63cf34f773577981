// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_PTRACE_SIGNALS_H_
#define CRFS_ENGINE_PTRACE_SIGNALS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_answers.h"
#include "engine/ptrace_thread.h"
#include "engine/snapshot.h"

namespace crfs {

// A pending signal. Without siginfo (its queue was full) the number is all there is.
struct PendingSignal {
  int32_t signo = 0;
  int32_t code = 0;
  int32_t error = 0;
  bool queued = false;
  std::string fields;  // siginfo_t from byte 16 on, without the zeros at its end
};

// Those of a stopped thread, or of its whole task, in the order of the queue. `pending` is the set
// of them as /proc/PID/status shows it.
absl::StatusOr<std::vector<PendingSignal>> ReadPending(const TracedThread& thread, bool of_task,
                                                       uint64_t pending);

// Adds objects of `type`, `signal` or `thread_signal`, for the task or thread `owner`.
absl::Status AddPending(Snapshot& snapshot, absl::string_view type, uint64_t owner,
                        const std::vector<PendingSignal>& signals);

// Adds a table of handlers with those that are not the default; returns its id.
absl::StatusOr<uint64_t> AddSighand(Snapshot& snapshot, const SignalActions& actions);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_SIGNALS_H_
