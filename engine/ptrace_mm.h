// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_PTRACE_MM_H_
#define CRFS_ENGINE_PTRACE_MM_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_answers.h"
#include "engine/ptrace_files.h"
#include "engine/snapshot.h"

namespace crfs {

// Adds the address space of a frozen task: its object, its mappings, the files and the shared
// memory behind them, and to snapshot.extents() which of its pages are to be saved. Returns the id
// of the mm.
absl::StatusOr<uint64_t> AddMm(Snapshot& snapshot, FileTable& files, pid_t pid,
                               const MmAnswers& answers);

// The table of the memory of all shmem objects: what their files say is not a hole.
absl::StatusOr<std::vector<OwnedExtent>> ShmemExtents(const Snapshot& snapshot,
                                                      const FileTable& files);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_MM_H_
