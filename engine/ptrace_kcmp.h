// SPDX-License-Identifier: Apache-2.0
//
// Sharing, as kcmp(2) tells it. Its results order the kernel's objects, so that one of many is
// found in a few calls.

#ifndef CRFS_ENGINE_PTRACE_KCMP_H_
#define CRFS_ENGINE_PTRACE_KCMP_H_

#include <linux/kcmp.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crfs {

// Whether this kernel has kcmp(2). UNIMPLEMENTED says what it lacks.
absl::Status FindKcmp();

// Objects of one kind (KCMP_FILE, KCMP_VM, ...), each with the id that it was added with. They are
// named by a thread and, for KCMP_FILE, a descriptor of it.
class KcmpTable {
 public:
  explicit KcmpTable(int kind) : kind_(kind) {}

  // The id of what `tid` (and `fd`) has, 0 if it is none of these. Errors: NOT_FOUND, the thread
  // is gone; PERMISSION_DENIED, it is not for crfs to look at.
  absl::StatusOr<uint64_t> Find(pid_t tid, int fd = 0) const;
  // What Find has not found.
  absl::Status Add(pid_t tid, int fd, uint64_t id);

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    pid_t tid;
    int fd;
    uint64_t id;
  };
  // Where it is, or where it belongs; and whether it is there.
  absl::StatusOr<std::pair<size_t, bool>> Place(pid_t tid, int fd) const;

  int kind_;
  std::vector<Entry> entries_;  // ascending
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_KCMP_H_
