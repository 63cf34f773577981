// SPDX-License-Identifier: Apache-2.0
//
// Which credentials threads have in common.
//
// The kernel never changes credentials: who gets others gets a new object. So it makes no
// difference whether two threads refer to one object or to two that say the same, and /proc does
// not tell. Images of every engine say: one object for all threads of a task that have the same.

#ifndef CRFS_ENGINE_SAME_CREDENTIALS_H_
#define CRFS_ENGINE_SAME_CREDENTIALS_H_

#include "absl/status/status.h"
#include "engine/snapshot.h"

namespace crfs {

// Makes all threads of a snapshot follow the rule; the objects `cred` are numbered in the order of
// first encounter, thread by thread.
absl::Status UnifyCredentials(Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_SAME_CREDENTIALS_H_
