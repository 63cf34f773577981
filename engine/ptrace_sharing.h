// SPDX-License-Identifier: Apache-2.0
//
// What tasks share with one another, and with others that are not in the checkpoint.

#ifndef CRFS_ENGINE_PTRACE_SHARING_H_
#define CRFS_ENGINE_PTRACE_SHARING_H_

#include <sys/types.h>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "engine/ptrace_kcmp.h"
#include "engine/snapshot.h"

namespace crfs {

// The objects of all tasks that threads may share (clone(2)), by ids of the snapshot.
struct SharedTables {
  KcmpTable mm{KCMP_VM};
  KcmpTable fdtable{KCMP_FILES};
  KcmpTable fs{KCMP_FS};
  KcmpTable sighand{KCMP_SIGHAND};
};

// Sets the blocker `shared_outside` of all that a thread outside of `frozen`, the tids of the
// checkpoint, has in common with it. Threads that crfs may not look at (those of other users)
// count as strangers.
absl::Status NoteOutsideSharing(const SharedTables& tables,
                                const absl::flat_hash_set<pid_t>& frozen, Snapshot& snapshot);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_SHARING_H_
