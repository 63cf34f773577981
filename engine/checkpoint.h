// SPDX-License-Identifier: Apache-2.0
//
// Taking a checkpoint of a task and all of its descendants.

#ifndef CRFS_ENGINE_CHECKPOINT_H_
#define CRFS_ENGINE_CHECKPOINT_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/checkpoint_writer.h"
#include "engine/engine.h"
#include "engine/exclude.h"
#include "engine/self_request.h"

namespace crfs {

// What becomes of the tasks when they have been saved.
enum class Afterwards { kRun, kStop, kKill };

struct CheckpointOptions {
  pid_t pid = 0;
  Engine engine = Engine::kAuto;
  std::string image;  // path, or - for standard output
  Afterwards afterwards = Afterwards::kRun;
  // Saves states that cannot be restarted too, and lists them in checkpoint/unsupported;
  // otherwise such a checkpoint is refused, and each state is in the message.
  bool inspect = false;
  // The tasks go on as soon as their memory is copied by fork(2), with kRun alone; the kernel
  // engine cannot. Without it they stand until their memory is written.
  bool copy = false;
  // Of the program that has asked for it, with `copy` alone: it is told when it goes on, and its
  // copy that it is one. How it ends, the caller of TakeCheckpoint tells it.
  std::optional<SelfRequest> request;
  Exclusions exclude;  // besides what the program itself has marked
  CopyProgress progress;
};

struct CheckpointResult {
  std::vector<pid_t> tasks;  // the root first
  uint64_t memory = 0;       // bytes saved
  uint64_t frozen_ns = 0;
  std::vector<std::string> unsupported;  // with `inspect`
};

// crfs is never a part of what it saves: below a task of the tree, it and its children are left
// out. On any error the tasks go on as if nothing had been (also with kStop and kKill), and no
// image is left. Messages: `PATH or task: what is wrong: what to do`, several lines for several
// states.
absl::StatusOr<CheckpointResult> TakeCheckpoint(const CheckpointOptions& options);

}  // namespace crfs

#endif  // CRFS_ENGINE_CHECKPOINT_H_
