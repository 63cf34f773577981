// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_MACHINE_ROWS_H_
#define CRFS_ENGINE_MACHINE_ROWS_H_

#include "absl/status/statusor.h"
#include "crfs/words.h"
#include "index/record.h"

namespace crfs {

// A new checkpoint object that says where and when: a fresh uuid, architecture, page size,
// kernel, host name, both clocks. Rows that only the end of the checkpoint tells (root,
// downtime, unsupported) are left to the caller.
absl::StatusOr<ObjectBuilder> DescribeMachine(crfs_engine engine);

}  // namespace crfs

#endif  // CRFS_ENGINE_MACHINE_ROWS_H_
