// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/smaps as a table (proc(5)).

#ifndef CRFS_ENGINE_PROC_MAPS_H_
#define CRFS_ENGINE_PROC_MAPS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

struct ProcMapping {
  uint64_t start = 0;
  uint64_t end = 0;
  bool shared = false;
  uint32_t prot = 0;  // bits 0 to 3: r, w, x, s
  uint64_t offset = 0;
  uint64_t dev = 0;  // major << 32 | minor
  uint64_t inode = 0;
  std::string name;
  uint64_t flags = 0;  // VmFlags: 1 << CRFS_vma_flags_*
  uint64_t protection_key = 0;

  bool has_file() const { return inode != 0 || dev != 0; }
  bool Has(int flag) const { return (flags >> flag & 1) != 0; }
};

// Without [vsyscall], which is the kernel's.
std::vector<ProcMapping> ParseSmaps(absl::string_view text);
absl::StatusOr<std::vector<ProcMapping>> ReadMappings(pid_t pid);

// The start addresses of mappings with a memory policy of their own or, if `tid` has one, all
// (numa(7)). A kernel without policies has none.
absl::flat_hash_set<uint64_t> MappingsWithPolicy(pid_t pid);

}  // namespace crfs

#endif  // CRFS_ENGINE_PROC_MAPS_H_
