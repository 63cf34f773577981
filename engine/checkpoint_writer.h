// SPDX-License-Identifier: Apache-2.0
//
// Writes a snapshot and its memory as an image: into a file in two steps, so that only the
// copying of memory happens while the tasks are frozen, or as a stream in one.

#ifndef CRFS_ENGINE_CHECKPOINT_WRITER_H_
#define CRFS_ENGINE_CHECKPOINT_WRITER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/memory_source.h"
#include "engine/snapshot.h"
#include "index/byte_stream.h"
#include "index/data_copy.h"

namespace crfs {

// Step one: copies all memory to its place in `file`, by several threads. Returns the
// checksums of its chunks. `progress` is called by one thread at a time.
absl::StatusOr<std::vector<uint32_t>> WriteMemory(const Snapshot& snapshot,
                                                  const MemorySource& memory, const NewFile& file,
                                                  DiskWrites when, const CopyProgress& progress);

// Step two: writes all the rest. The sizes of the snapshot's objects must be what they were
// in step one.
absl::Status WriteMetadata(const Snapshot& snapshot, const std::vector<uint32_t>& checksums,
                           NewFile& file);

// All of it in the order of the image, for pipes.
absl::Status WriteStream(const Snapshot& snapshot, const MemorySource& memory, ByteSink& sink,
                         const CopyProgress& progress);

}  // namespace crfs

#endif  // CRFS_ENGINE_CHECKPOINT_WRITER_H_
