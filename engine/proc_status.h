// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/task/TID/status and stat as tables (proc(5)).

#ifndef CRFS_ENGINE_PROC_STATUS_H_
#define CRFS_ENGINE_PROC_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace crfs {

// One status file. What a kernel does not tell reads as 0 or empty.
class ProcStatus {
 public:
  static ProcStatus Parse(absl::string_view text);

  // What follows the name and its colon, without blanks around it.
  absl::string_view Text(absl::string_view name) const;
  bool Has(absl::string_view name) const { return !Text(name).empty(); }
  uint64_t Number(absl::string_view name) const;
  uint64_t Hex(absl::string_view name) const;
  // All decimal numbers of a line.
  std::vector<uint32_t> Numbers(absl::string_view name) const;
  char State() const;

 private:
  absl::flat_hash_map<std::string, std::string> lines_;
};

absl::StatusOr<ProcStatus> ReadThreadStatus(pid_t pid, pid_t tid);

// The child of a task that has this pid in its own pid namespace, as the caller sees it.
absl::StatusOr<std::optional<pid_t>> FindChild(pid_t parent, uint64_t pid);

// Fields of stat by the numbers that proc(5) gives them, from 3 (the state) on.
class ProcStat {
 public:
  static absl::StatusOr<ProcStat> Read(pid_t pid, pid_t tid);
  // /proc/PID/stat, which differs in what is of the task as a whole, such as its exit code.
  static absl::StatusOr<ProcStat> ReadTask(pid_t pid);
  uint64_t Number(int field) const;

 private:
  static absl::StatusOr<ProcStat> ReadFile(const std::string& path);
  std::vector<std::string> fields_;  // from the third
};

// `numbers` rows hold little-endian u32s.
std::string PackNumbers(const std::vector<uint32_t>& numbers);

// The bytes, least significant first and without zeros at the end, of a mask as /proc prints it:
// groups of hexadecimal digits with commas between them, the most significant first.
std::string MaskBytes(absl::string_view mask);

}  // namespace crfs

#endif  // CRFS_ENGINE_PROC_STATUS_H_
