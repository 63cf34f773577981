// SPDX-License-Identifier: Apache-2.0
//
// Small reads from /proc of tasks that do not run.

#ifndef CRFS_ENGINE_PROC_FILE_H_
#define CRFS_ENGINE_PROC_FILE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

// The whole of a file. Errors name it; NOT_FOUND if it, or its process, is gone.
absl::StatusOr<std::string> ReadProcFile(const std::string& path);

// "/proc/PID/NAME".
std::string ProcPath(pid_t pid, absl::string_view name);

// The lines of a file as a `strings` row holds them: each ended by a NUL.
std::string LinesToStrings(absl::string_view lines);

// The threads of a task, ascending.
absl::StatusOr<std::vector<pid_t>> ListThreads(pid_t pid);

// The children of all threads of a task, ascending (/proc/PID/task/TID/children).
absl::StatusOr<std::vector<pid_t>> ListChildren(pid_t pid);

// The state letter of a thread, as /proc/PID/stat shows it.
absl::StatusOr<char> ThreadState(pid_t pid, pid_t tid);

// Whether it is a thread of the kernel itself.
absl::StatusOr<bool> IsKernelThread(pid_t pid);

}  // namespace crfs

#endif  // CRFS_ENGINE_PROC_FILE_H_
