// SPDX-License-Identifier: Apache-2.0
//
// What a checkpoint is to leave out, as the command line says it. Stateless; any thread.

#ifndef CRFS_ENGINE_EXCLUSION_H_
#define CRFS_ENGINE_EXCLUSION_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

// The word of one --exclude.
struct Exclusion {
  enum class Kind { kDescriptor, kName, kRange };
  std::string text;  // as it was given
  Kind kind = Kind::kDescriptor;
  pid_t pid = 0;       // of this task alone; 0: of every one
  int fd = 0;          // kDescriptor
  std::string name;    // kName: of mappings, as /proc/PID/maps shows it
  uint64_t begin = 0;  // kRange: addresses, whole pages
  uint64_t end = 0;
};

// `fd:N`, `vma:NAME` or `START-END` (hexadecimal; only pages that lie in it as a whole count),
// each as it is or with `PID:` before it. INVALID_ARGUMENT quotes the text and says what is wrong.
absl::StatusOr<Exclusion> ParseExclusion(absl::string_view text);

}  // namespace crfs

#endif  // CRFS_ENGINE_EXCLUSION_H_
