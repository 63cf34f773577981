// SPDX-License-Identifier: Apache-2.0
//
// The process that traces. Between two edges of a system call that a thread is made to make
// (engine/ptrace_call.h) its tracer must not die. Whoever wants to be rid of crfs kills crfs: so a
// child of it takes the checkpoint, in a process group of its own. When crfs dies, in whatever
// way, the child gets SIGTERM, which it holds back until no thread is in such a place, and then
// dies of it.

#ifndef CRFS_ENGINE_PTRACE_TRACER_H_
#define CRFS_ENGINE_PTRACE_TRACER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/checkpoint.h"

namespace crfs {

// Calls `take` in such a process, with `options` whose progress comes back to the caller's, and
// returns what it returned. ABORTED: the process was killed; the tasks go on.
absl::StatusOr<CheckpointResult> TakeInTracer(
    const CheckpointOptions& options,
    absl::FunctionRef<absl::StatusOr<CheckpointResult>(const CheckpointOptions&)> take);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_TRACER_H_
