// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_PIPES_H_
#define CRFS_ENGINE_PIPES_H_

#include "absl/status/status.h"
#include "engine/snapshot.h"

namespace crfs {

// Fills pipe.data and pipe.packets of all pipes and fifos, of which every user is frozen,
// through a copy of one of their descriptors (pidfd_getfd(2), tee(2)): nothing is consumed.
absl::Status FillPipes(Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_PIPES_H_
