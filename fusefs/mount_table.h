// SPDX-License-Identifier: Apache-2.0
//
// What is mounted where, as the kernel says in /proc/self/mountinfo.

#ifndef CRFS_FUSEFS_MOUNT_TABLE_H_
#define CRFS_FUSEFS_MOUNT_TABLE_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace crfs {

// The type of our own mounts.
inline constexpr absl::string_view kMountType = "fuse.crfs";

struct MountEntry {
  std::string device;  // MAJOR:MINOR
  std::string directory;
  std::string type;
  std::string source;
  bool read_only = false;
};

// One line of mountinfo; nullopt if it is none.
std::optional<MountEntry> ParseMountEntry(absl::string_view line);

// The topmost mount at exactly this absolute directory.
std::optional<MountEntry> FindMount(absl::string_view directory);

// The absolute path of `directory` without links, `.` and `..`, as the mount table has it.
// Works on the mountpoint of a file system that no longer answers, too. Empty if there is
// no such directory, with errno set.
std::string AbsolutePath(const std::string& directory);

}  // namespace crfs

#endif  // CRFS_FUSEFS_MOUNT_TABLE_H_
