// SPDX-License-Identifier: Apache-2.0
//
// The kernel's own code in a program, the vdso (vdso(7)): brought to where the saved program
// has it or, where the machine has another, joined to the saved one.

#ifndef CRFS_ENGINE_RESTART_VDSO_H_
#define CRFS_ENGINE_RESTART_VDSO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/address_gap.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {

// A mapping of the kernel in every process made here, and where a restarted one has it.
struct KernelMapping {
  AddressRange from;
  uint64_t to = 0;
};

// What is done about the kernel's mappings of one mm.
struct VdsoPlan {
  std::vector<KernelMapping> moves;  // in this order, which overwrites none
  // Where the machine's own vdso stands then; 0: it has none.
  uint64_t own = 0;
  // The saved vdso with each function leading to the machine's own; invalid where that stands
  // in its place, or where the mm has none.
  UniqueFd patched;
};

// Errors name the file of the tree: the saved vdso is none, has a function that the machine's
// lacks, or a thread stands within it.
absl::StatusOr<VdsoPlan> PlanVdso(const LoadedCheckpoint& checkpoint, const ObjectView& mm);

// The saved image of a vdso with a jump at the beginning of each of its functions to the one of
// the same name in `own`, which will be at `own_address`. INVALID_ARGUMENT says what does not
// fit. Both may be anything.
absl::StatusOr<std::string> JoinVdso(absl::string_view saved, absl::string_view own,
                                     uint64_t own_address);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_VDSO_H_
