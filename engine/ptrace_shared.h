// SPDX-License-Identifier: Apache-2.0
//
// Shared memory that no path and no descriptor leads to (mmap(2), MAP_SHARED | MAP_ANONYMOUS), made
// by crfs in its own memory for tasks to inherit.

#ifndef CRFS_ENGINE_PTRACE_SHARED_H_
#define CRFS_ENGINE_PTRACE_SHARED_H_

#include "absl/status/status.h"
#include "engine/ptrace_space.h"
#include "engine/reopen_files.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// Unmapped, in this process, when it is destroyed.
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  // All that `files` has no descriptor for, with what was saved of it. Messages name the file of
  // the tree.
  absl::Status Make(const LoadedCheckpoint& checkpoint, const ReopenedFiles& files);

  const SharedMemories& places() const { return places_; }

 private:
  SharedMemories places_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_SHARED_H_
