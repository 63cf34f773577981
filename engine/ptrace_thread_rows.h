// SPDX-License-Identifier: Apache-2.0
//
// The rows of a thread and of its credentials.

#ifndef CRFS_ENGINE_PTRACE_THREAD_ROWS_H_
#define CRFS_ENGINE_PTRACE_THREAD_ROWS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crfs/words.h"
#include "engine/proc_status.h"
#include "engine/ptrace_answers.h"
#include "engine/ptrace_signals.h"
#include "engine/ptrace_task.h"
#include "index/record.h"

namespace crfs {

// A stopped thread, read before it is asked anything: its status shows it as it stands.
struct ThreadReading {
  ProcStatus status;
  uint64_t sigmask = 0;
  uint64_t saved_sigmask = 0;
  bool restore_sigmask = false;
  std::string extended_state;
  std::vector<PendingSignal> pending;
  uint32_t blockers = 0;  // of those that need not be asked
};

// `mem` is open on the memory of its task.
absl::StatusOr<ThreadReading> ReadStoppedThread(const StoppedThread& thread, int mem);

// The rows that anybody sees, of threads that live or not: names, scheduling, seccomp.
absl::Status FillVisibleRows(pid_t pid, pid_t tid, const ProcStatus& status, ObjectBuilder& object);

// All others of a stopped thread, but for its owner and its credentials. FAILED_PRECONDITION: it
// cannot be told how its interrupted call goes on.
absl::Status FillStoppedRows(const StoppedThread& thread, const ThreadReading& reading,
                             const ThreadAnswers& answers, int mem, ObjectBuilder& object);

// A `cred` object; `securebits` of those who can be asked, else 0.
ObjectBuilder DescribeCredentials(const ProcStatus& status, uint32_t securebits);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_THREAD_ROWS_H_
