// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_ENGINE_H_
#define CRFS_ENGINE_ENGINE_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace crfs {

// What takes a checkpoint (engine/frozen_tasks.h) or a restart (engine/restart_engine.h). kAuto:
// the kernel engine where its module can be used.
enum class Engine { kAuto, kKernel, kPtrace };

// By its word on the command line: auto, kernel, ptrace.
inline std::optional<Engine> FindEngine(absl::string_view word) {
  if (word == "auto") return Engine::kAuto;
  if (word == "kernel") return Engine::kKernel;
  if (word == "ptrace") return Engine::kPtrace;
  return std::nullopt;
}

}  // namespace crfs

#endif  // CRFS_ENGINE_ENGINE_H_
