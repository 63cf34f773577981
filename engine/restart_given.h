// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_RESTART_GIVEN_H_
#define CRFS_ENGINE_RESTART_GIVEN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/string_view.h"
#include "engine/restart.h"

namespace crfs {

// The descriptor of the caller that a path means: /dev/stdin, /dev/stdout, /dev/stderr, and
// /dev/fd/N.
std::optional<int> CallersDescriptor(absl::string_view path);

// The file objects in whose place come descriptors of the caller, and their numbers: by a path
// of theirs, or by an option, which counts for more. An option that names a descriptor that
// there is not means nothing here, nor does one that names an excluded descriptor: what that
// gets, no other one does.
std::map<uint64_t, int> GivenFiles(const LoadedCheckpoint& checkpoint,
                                   const RestartOptions& options);

// The descriptor object that an option names.
std::optional<ObjectView> FindGivenFd(const LoadedCheckpoint& checkpoint, const GivenFd& given);

// Whether a descriptor is closed in the restarted program: it is excluded, and nothing is given in
// its place.
bool StaysClosed(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
                 const ObjectView& fd);

// The ids of `file` objects that the restarted program needs: all but those that nothing, or only
// excluded descriptors refer to.
std::set<uint64_t> FilesInUse(const LoadedCheckpoint& checkpoint);

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_GIVEN_H_
