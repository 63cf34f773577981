// SPDX-License-Identifier: Apache-2.0
//
// A pid namespace for a restarted program (pid_namespaces(7)), with a first task that looks
// after it.

#ifndef CRFS_ENGINE_PID_NAMESPACE_H_
#define CRFS_ENGINE_PID_NAMESPACE_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace crfs {

struct NamespaceRoot {
  pid_t first;  // the namespace's first task, a child of the caller
  pid_t root;   // what `make` made; both as the caller sees them
};

// In a task that has a pid and a mount namespace of its own: makes its mounts its own, and mounts
// the /proc of its pids. What could not be done, with errno; nullptr: all is.
const char* MountOwnProc();

// Makes a pid namespace with a mount namespace of its own, in which /proc is that of the new
// pids. `make` runs in its first task and returns the pid, in there, of the root of the program
// (`pid`), or -1. The first task waits for what is left to it, passes on the signals that it
// gets, and ends when the root has: with the same exit status, or 128 + the signal; all else in
// the namespace ends with it. The caller has all signals blocked.
absl::StatusOr<NamespaceRoot> MakePidNamespace(pid_t pid, absl::FunctionRef<pid_t()> make);

}  // namespace crfs

#endif  // CRFS_ENGINE_PID_NAMESPACE_H_
