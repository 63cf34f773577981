// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_UNSUPPORTED_H_
#define CRFS_ENGINE_UNSUPPORTED_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/snapshot.h"

namespace crfs {

// The states of a checkpoint that cannot be restarted, one sentence each: where it is in
// the tree, what it is, what to do about it. Empty: all can be.
absl::StatusOr<std::vector<std::string>> FindUnsupported(const Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_UNSUPPORTED_H_
