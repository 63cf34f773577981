// SPDX-License-Identifier: Apache-2.0
//
// What differs between two checkpoints, path by path.

#ifndef CRFS_INDEX_DIFF_H_
#define CRFS_INDEX_DIFF_H_

#include "absl/status/statusor.h"
#include "index/byte_stream.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

struct DiffOptions {
  bool restored_only = false;  // only rows that a restart sets again, and memory
};

// Writes a line for each difference, in the order of the tree, and returns whether there is
// one. Objects are compared with those of the same path; files that are computed from others
// are left out. Lines:
//
//   only in NAME: PATH                     an object with all that it owns
//   PATH: VALUE -> VALUE                   long ones cut short; (none) for no reference
//   PATH: line N: VALUE -> VALUE           the first line of several that differs
//   PATH: bytes FROM-TO differ             of raw values; an end before TO
//   PATH: N -> M bytes                     likewise, if one is longer
//   PATH: FROM-TO differs                  memory, by address (shared memory: by offset)
//   PATH: FROM-TO is saved in NAME alone
//
// NAME is LoadedCheckpoint::path. Errors are those of reading memory, and of `out`.
absl::StatusOr<bool> DiffCheckpoints(const LoadedCheckpoint& one, const LoadedCheckpoint& other,
                                     const DiffOptions& options, ByteSink& out);

}  // namespace crfs

#endif  // CRFS_INDEX_DIFF_H_
