// SPDX-License-Identifier: Apache-2.0
//
// Rows that /proc tells of frozen tasks, the same for every engine.

#ifndef CRFS_ENGINE_PROC_ROWS_H_
#define CRFS_ENGINE_PROC_ROWS_H_

#include "absl/status/status.h"
#include "engine/snapshot.h"

namespace crfs {

// Adds the namespaces of all tasks and the references to them (namespaces(7)).
absl::Status AddNamespaces(Snapshot& snapshot);

// Fills task.cgroup and cred.label.
absl::Status FillTaskRows(Snapshot& snapshot);

// Fills file.mnt_id, and file.fdinfo where crfs knows no more of the kind. A mapped file
// whose mount only a privileged user may ask for keeps mount 0.
absl::Status FillFileRows(Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_PROC_ROWS_H_
