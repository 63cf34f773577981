// SPDX-License-Identifier: Apache-2.0
//
// Leaves out of a snapshot what is not worth saving: by the command line, and by the marks that
// programs have made themselves (crfs/exclude.h).

#ifndef CRFS_ENGINE_EXCLUDE_H_
#define CRFS_ENGINE_EXCLUDE_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/exclusion.h"
#include "engine/memory_source.h"
#include "engine/snapshot.h"

namespace crfs {

struct Exclusions {
  std::vector<Exclusion> named;
  bool lenient = false;   // one that finds nothing is no error
  bool dontdump = false;  // mappings with MADV_DONTDUMP (madvise(2))
};

// Sets the rows `excluded` of descriptors and mappings, and takes from the table of saved memory
// what they exclude. Only private memory that the program can write, or that is anonymous, is left
// out: shared memory is saved whoever excludes it, and what cannot be written is in its file.
// The tasks must be frozen; `open` reads their memory. NOT_FOUND if one of `exclusions.named` finds
// nothing, unless they are lenient.
absl::Status Exclude(const Exclusions& exclusions, const OpenMemory& open, Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_EXCLUDE_H_
