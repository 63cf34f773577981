// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_engine.h"

#include <unistd.h>

#include "crfs/ioctl.h"

namespace crfs {

// A module that is there and cannot be used is told of, not gone around.
Engine ChooseRestartEngine(Engine wanted) {
  if (wanted != Engine::kAuto) return wanted;
  return ::access(CRFS_DEVICE_PATH, F_OK) == 0 ? Engine::kKernel : Engine::kPtrace;
}

}  // namespace crfs
