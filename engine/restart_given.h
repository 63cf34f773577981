// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_RESTART_GIVEN_H_
#define CRFS_ENGINE_RESTART_GIVEN_H_

#include <cstdint>
#include <map>
#include <optional>

#include "absl/strings/string_view.h"
#include "engine/restart.h"

namespace crfs {

// The descriptor of the caller that a path means: /dev/stdin, /dev/stdout, /dev/stderr, and
// /dev/fd/N.
std::optional<int> CallersDescriptor(absl::string_view path);

// The file objects in whose place come descriptors of the caller, and their numbers: by a path
// of theirs, or by an option, which counts for more. An option that names a descriptor that
// there is not means nothing here.
std::map<uint64_t, int> GivenFiles(const LoadedCheckpoint& checkpoint,
                                   const RestartOptions& options);

// The descriptor object that an option names.
std::optional<ObjectView> FindGivenFd(const LoadedCheckpoint& checkpoint, const GivenFd& given);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_GIVEN_H_
