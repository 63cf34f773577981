// SPDX-License-Identifier: Apache-2.0
//
// Programs that are checkpointed at intervals by who has started them, from outside: they see no
// signal, no EINTR and no thread of it.

#ifndef CRFS_ENGINE_RUN_H_
#define CRFS_ENGINE_RUN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/restart.h"
#include "engine/run_folder.h"

namespace crfs {

// Takes one problem that does not end the run, as `PATH: what is wrong: what to do`.
using Complain = std::function<void(absl::string_view problem)>;

// Starts a program (argv[0] is looked for in PATH) as a child in the caller's process group, stays
// with it until it ends, passes signals on as AwaitEnd does, and checkpoints it, with all of its
// descendants, into `folder`; or, where the settings name a signal, has it checkpoint itself
// whenever it gets that (lib/preload.c). Returns the exit status that the caller should have. A
// checkpoint that fails is told, and the program goes on; one that the program's end has overtaken
// is not. The caller must have no other threads and no other children.
absl::StatusOr<int> RunProgram(const std::vector<std::string>& argv, const RunFolder& folder,
                               const RunSettings& settings, const Complain& complain);

// Restarts the newest checkpoint in `folder` that is whole, and goes on likewise. Those that are
// damaged are told, and set aside. What stands in the way of the restart is told as CheckRestart
// does, and the exit status is 1.
absl::StatusOr<int> ResumeProgram(const RunFolder& folder, const RunSettings& settings,
                                  const RestartOptions& options, const Complain& complain);

}  // namespace crfs

#endif  // CRFS_ENGINE_RUN_H_
