// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_ENGINE_H_
#define CRFS_ENGINE_ENGINE_H_

namespace crfs {

// What takes a checkpoint (engine/frozen_tasks.h) or a restart (engine/restart_engine.h). kAuto:
// the kernel engine where its module can be used.
enum class Engine { kAuto, kKernel, kPtrace };

}  // namespace crfs

#endif  // CRFS_ENGINE_ENGINE_H_
