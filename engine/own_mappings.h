// SPDX-License-Identifier: Apache-2.0
//
// The memory of this process, as /proc/self/maps lists it.

#ifndef CRFS_ENGINE_OWN_MAPPINGS_H_
#define CRFS_ENGINE_OWN_MAPPINGS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/address_gap.h"

namespace crfs {

// By ascending address; the name of a mapping without a file, such as "[vdso]", or "".
absl::StatusOr<std::vector<std::pair<std::string, AddressRange>>> OwnMappings();
absl::StatusOr<std::vector<AddressRange>> OwnMappingRanges();

// Of the kernel: [vdso], [vvar], [vvar_vclock].
bool IsKernelMapping(absl::string_view name);

// How far into the vdso a `syscall` instruction stands; the vdso must be there.
uint64_t FindSyscallInVdso();

}  // namespace crfs

#endif  // CRFS_ENGINE_OWN_MAPPINGS_H_
