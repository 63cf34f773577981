// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_kcmp.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

// As kcmp(2) returns it: 0 the same, 1 and 2 before and after.
absl::StatusOr<long> Compare(int kind, pid_t left, int left_fd, pid_t right, int right_fd) {
  const long result = ::syscall(SYS_kcmp, left, right, kind, left_fd, right_fd);
  if (result >= 0 && result <= 2) return result;
  return absl::ErrnoToStatus(
      result < 0 ? (errno == ESRCH || errno == EBADF ? ENOENT : errno) : EIO,
      absl::StrCat("threads ", left, " and ", right, " cannot be compared (kcmp(2))"));
}

}  // namespace

absl::Status FindKcmp() {
  const pid_t self = ::getpid();
  if (::syscall(SYS_kcmp, self, self, KCMP_VM, 0, 0) == 0) return absl::OkStatus();
  return absl::UnimplementedError(
      "kcmp(2): this kernel has none, so that sharing cannot be told: "
      "use one with CONFIG_KCMP, or the kernel engine");
}

absl::StatusOr<std::pair<size_t, bool>> KcmpTable::Place(pid_t tid, int fd) const {
  size_t low = 0, high = entries_.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const Entry& entry = entries_[middle];
    const absl::StatusOr<long> order = Compare(kind_, entry.tid, entry.fd, tid, fd);
    if (!order.ok()) return order.status();
    if (*order == 0) return std::pair(middle, true);
    if (*order == 1) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return std::pair(low, false);
}

absl::StatusOr<uint64_t> KcmpTable::Find(pid_t tid, int fd) const {
  const absl::StatusOr<std::pair<size_t, bool>> place = Place(tid, fd);
  if (!place.ok()) return place.status();
  return place->second ? entries_[place->first].id : 0;
}

absl::Status KcmpTable::Add(pid_t tid, int fd, uint64_t id) {
  const absl::StatusOr<std::pair<size_t, bool>> place = Place(tid, fd);
  if (!place.ok()) return place.status();
  entries_.insert(entries_.begin() + static_cast<ptrdiff_t>(place->first), {tid, fd, id});
  return absl::OkStatus();
}

}  // namespace crfs
