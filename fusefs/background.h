// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_BACKGROUND_H_
#define CRFS_FUSEFS_BACKGROUND_H_

#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace crfs {

// Runs `serve` in a child process and returns in this one as soon as `serve` calls `ready`
// (OK), or when it ends before that (its error). `ready` may be called from any thread; it
// makes the child a daemon: a session of its own, no terminal, messages to syslog. The
// child begins in the root directory. Call it before there are other threads.
absl::Status RunInBackground(
    absl::FunctionRef<absl::Status(const std::function<void()>& ready)> serve);

}  // namespace crfs

#endif  // CRFS_FUSEFS_BACKGROUND_H_
