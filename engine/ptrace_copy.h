// SPDX-License-Identifier: Apache-2.0
//
// A copy of the memory of a stopped task: what fork(2) makes of it, at the cost of its page tables.
// The task itself is made to fork. Its child never runs one instruction of the program: it is born
// on a page of code that ends it, traced, and stands in front of that as long as its memory is
// needed; if its tracer dies, it dies, too.
//
// THE PARENT: the copy must not be seen by whoever waits for children. It has no signal to send at
// its end, so that wait(2) passes over it. And it is made by a child of the task, which shares its
// memory, ends at once, and which the task waits for: the copy is an orphan, for the machine's init
// to clear away. Where a task of the tree itself is the reaper of orphans (the first task of a pid
// namespace, PR_SET_CHILD_SUBREAPER), that would be seen: there the copy stays the task's own
// child, and the task is stopped once more at the end, to wait for it.
//
// THE DESCRIPTORS: a copy that held them would keep pipes, sockets and locks of the program open.
// It shares the task's table (CLONE_FILES) and leaves it at once, holding none.
//
// Not copied: shared memory, MADV_DONTFORK and MADV_WIPEONFORK.

#ifndef CRFS_ENGINE_PTRACE_COPY_H_
#define CRFS_ENGINE_PTRACE_COPY_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_task.h"
#include "engine/ptrace_thread.h"

namespace crfs {

// To be made and destroyed by the thread that stopped the task; outlives the stop.
class MemoryCopy {
 public:
  // Who the parent of an orphan of the task would be.
  enum class Reaper { kOutside, kInTree };

  // The task stands, all of its threads, and stands so again. An error says its errno
  // (index/edit_error.h): EAGAIN, no more processes; ENOMEM.
  static absl::StatusOr<MemoryCopy> Make(StoppedTask& task, Reaper reaper);

  MemoryCopy(MemoryCopy&& other) noexcept;
  MemoryCopy& operator=(MemoryCopy&& other) = delete;
  // Ends it. If the task is its parent, the task is stopped for that.
  ~MemoryCopy();

  // The process that holds it: /proc/PID/mem reads it.
  pid_t pid() const { return copy_.tid(); }
  pid_t task() const { return task_; }

 private:
  MemoryCopy(TracedThread copy, pid_t task, long number)
      : copy_(std::move(copy)), task_(task), number_(number) {}

  TracedThread copy_;
  pid_t task_;   // whose memory it is
  long number_;  // its pid as its parent, the task, knows it; 0: it is an orphan
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_COPY_H_
