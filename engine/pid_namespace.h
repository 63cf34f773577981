// SPDX-License-Identifier: Apache-2.0
//
// A pid namespace for a restarted program (pid_namespaces(7)), with a first task that looks
// after it.

#ifndef CRFS_ENGINE_PID_NAMESPACE_H_
#define CRFS_ENGINE_PID_NAMESPACE_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "index/unique_fd.h"

namespace crfs {

struct NamespaceRoot {
  pid_t first = 0;  // the namespace's first task, a child of the caller
  pid_t root = 0;   // what `make` made; both as the caller sees them
  UniqueFd tell;    // pipes to and from `first`
  UniqueFd listen;

  // Until this has been called, all in the namespace dies with the caller, or with this.
  void LetLive();
};

// In which user namespace the pid namespace is to be. Who may not make one in his own
// (CAP_SYS_ADMIN) may make both (user_namespaces(7)): his user and group are the only ones there,
// and his other groups stay, without names.
enum class UserNamespace { kSame, kOwn };

// 0, or an errno: whether kOwn is possible here. Leaves nothing behind.
int TryUserNamespace();
// In a task that has a pid and a mount namespace of its own: makes its mounts its own, and mounts
// the /proc of its pids. What could not be done, with errno; nullptr: all is.
const char* MountOwnProc();

// Makes a pid namespace with a mount namespace of its own, in which /proc is that of the new
// pids. `make` runs in its first task and returns the pid, in there, of the root of the program
// (`pid`), or -1. The first task waits for what is left to it, passes on the signals that it
// gets, and ends when the root has: with the same exit status, or 128 + the signal; all else in
// the namespace ends with it. The caller has all signals blocked.
absl::StatusOr<NamespaceRoot> MakePidNamespace(pid_t pid, UserNamespace user,
                                               absl::FunctionRef<pid_t()> make);

}  // namespace crfs

#endif  // CRFS_ENGINE_PID_NAMESPACE_H_
