// SPDX-License-Identifier: Apache-2.0
//
// What an engine is to a restart: it rebuilds address spaces, registers and signal state in tasks
// that have been made and wait, and starts them. All the rest (engine/restart.cc) is the same for
// each.

#ifndef CRFS_ENGINE_RESTART_ENGINE_H_
#define CRFS_ENGINE_RESTART_ENGINE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "engine/pid_namespace.h"
#include "engine/reopen_files.h"
#include "engine/restart.h"
#include "engine/restart_joining.h"
#include "engine/restart_vdso.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

using VdsoPlans = absl::flat_hash_map<uint64_t, VdsoPlan>;  // by id of the mm

// Called in the order of its declarations, by the thread that made it, but for Help. Before Start
// has succeeded, destroying this, or the death of its process, kills all that has joined. Messages
// name the file of the tree at fault.
class RestartEngine {
 public:
  virtual ~RestartEngine() = default;

  // Whatever can be prepared without tasks: `files` gets the shared memory that only an engine
  // can make, and shared memory is filled.
  virtual absl::Status Load(ReopenedFiles& files) = 0;
  // Where private memory is to be read from; the plans outlive this.
  virtual absl::Status Fill(const VdsoPlans& vdsos) = 0;
  // What tasks in the making are to do for it.
  virtual Joining joining() = 0;
  // All threads wait; `root` is the root task as the caller sees it.
  virtual absl::Status Gather(pid_t root) = 0;
  virtual absl::Status Build() = 0;
  // Between Gather and the end of Build, by other threads: work along, until that end.
  virtual void Help() const = 0;
  virtual absl::Status Start() = 0;
};

// Through the module (crfs/ioctl.h). Errors as OpenRestart (engine/device.h).
absl::StatusOr<std::unique_ptr<RestartEngine>> RestartByKernel(const LoadedCheckpoint& checkpoint,
                                                               const ReopenedFiles& files);

// Through ptrace(2) alone (engine/ptrace_restart.cc).
absl::StatusOr<std::unique_ptr<RestartEngine>> RestartByPtrace(const LoadedCheckpoint& checkpoint,
                                                               const ReopenedFiles& files);

// `wanted`, or for kAuto the kernel's where its module is there and can restart.
Engine ChooseRestartEngine(Engine wanted);

// Whether a pid namespace is to be in a user namespace of its own, by the caller's rights.
UserNamespace UserNamespaceFor(const RestartOptions& options);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_ENGINE_H_
