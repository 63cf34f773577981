// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_EXCLUDE_MARKS_H_
#define CRFS_ENGINE_EXCLUDE_MARKS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "crfs/exclude.h"
#include "engine/memory_source.h"
#include "engine/snapshot.h"

namespace crfs {

// A mark of a program, of memory or a descriptor: nothing else in it is to be trusted, but that
// memory does not wrap around the end of all addresses.
struct FoundMark {
  uint64_t mm;  // object id of the address space that holds the mark
  crfs_exclude_mark mark;
};

// The marks in the tables of all frozen tasks. FAILED_PRECONDITION for a table of a version that
// this crfs does not know.
absl::StatusOr<std::vector<FoundMark>> FindMarks(const OpenMemory& open, const Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_EXCLUDE_MARKS_H_
