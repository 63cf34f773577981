// SPDX-License-Identifier: Apache-2.0
//
// A program to be checkpointed by the ptrace engine: a child of the test, which tells what it knows
// of itself on a board in shared memory.

#ifndef CRFS_TESTS_PTRACE_PROGRAM_H_
#define CRFS_TESTS_PTRACE_PROGRAM_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/checkpoint.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

struct Board {
  std::atomic<int> ready;          // how many have reached what the test waits for
  std::atomic<int> go;             // set by the test
  std::atomic<int> wrong;          // of a program that has seen what it must not see
  std::atomic<int> done;           // how many have ended well
  std::atomic<int64_t> value[64];  // of the program's own
};

class Program {
 public:
  // The child calls `body` and ends. The constructor returns once board().ready is `ready`.
  explicit Program(const std::function<void(Board&)>& body, int ready = 1);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();  // kills it, with all that is in its process group

  pid_t pid() const { return pid_; }
  Board& board() { return *board_; }

  // A checkpoint of it, checked as `crfs verify` does.
  LoadedCheckpoint Save() { return SaveTask(pid_); }
  static LoadedCheckpoint SaveTask(pid_t pid);
  // The same without --inspect: refusals are errors.
  static absl::StatusOr<CheckpointResult> Try(pid_t pid);

  // Waits until it ends by itself; its exit status, -1 if it does not within 20 s or was killed.
  int Wait();

 private:
  Board* board_;
  pid_t pid_ = 0;
};

// Waits up to 20 s.
bool Eventually(const std::function<bool()>& condition);

// The number of the system call that a thread sleeps in, -1 if it does not.
long SleepsIn(pid_t tid);

// The state letter of /proc/PID/stat.
char StateOf(pid_t pid);

// The only object of a type for which the row is `number`; must exist.
ObjectView FindObject(const LoadedCheckpoint& checkpoint, absl::string_view type,
                      absl::string_view field, uint64_t number);

// The file of a task's descriptor; must exist.
ObjectView FileOf(const LoadedCheckpoint& checkpoint, pid_t pid, int fd);
ObjectView FdOf(const LoadedCheckpoint& checkpoint, pid_t pid, int fd);

// The processes of that name (PR_SET_NAME of the first thread) that live, ascending.
std::vector<pid_t> ProcessesNamed(absl::string_view name);

// A line of /proc/PID/status.
std::string StatusLine(pid_t pid, absl::string_view name);

}  // namespace crfs

#endif  // CRFS_TESTS_PTRACE_PROGRAM_H_
