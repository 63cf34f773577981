// SPDX-License-Identifier: Apache-2.0
//
// Compares memory of an image with its checksums, by several threads.

#ifndef CRFS_INDEX_VERIFY_CHUNKS_H_
#define CRFS_INDEX_VERIFY_CHUNKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "index/loaded_checkpoint.h"
#include "index/loaded_state.h"

namespace crfs {

// `chunks`: numbers of chunks of the data, ascending. Calls `progress`, one thread at a time,
// with the bytes that have been compared, and all of them. DATA_LOSS names the image and what is
// damaged; or what the file cannot be read for.
//
// Memory is looked at where the page cache has it. Who makes the file shorter in the instant
// between its being looked up and its being summed up ends the process by SIGBUS.
absl::Status VerifyChunks(const LoadedCheckpoint::State& image, const std::vector<uint64_t>& chunks,
                          const LoadedCheckpoint::Progress& progress);

}  // namespace crfs

#endif  // CRFS_INDEX_VERIFY_CHUNKS_H_
