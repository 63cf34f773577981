// SPDX-License-Identifier: Apache-2.0
//
// The memory of frozen tasks made independent of them, so that they can go on before it is written:
// copies by fork(2), and a file for what fork does not copy.

#ifndef CRFS_ENGINE_COPIED_MEMORY_H_
#define CRFS_ENGINE_COPIED_MEMORY_H_

#include <string>

#include "absl/status/status.h"
#include "engine/frozen_tasks.h"
#include "engine/memory_source.h"
#include "engine/snapshot.h"

namespace crfs {

// `memory` is that of the tasks, which stand; thereafter it is that of the copies, which `frozen`
// owns. The file is one without a name in the folder of `image`, or, if that is a stream, in
// $TMPDIR or /var/tmp. Errors as FrozenTasks::CopyMemory.
absl::Status CopyMemory(const Snapshot& snapshot, FrozenTasks& frozen, const std::string& image,
                        bool stream, MemorySource& memory);

}  // namespace crfs

#endif  // CRFS_ENGINE_COPIED_MEMORY_H_
