// SPDX-License-Identifier: Apache-2.0

#include "fusefs/readahead.h"

#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "fusefs/mount_table.h"

namespace crfs {

void RaiseReadAhead(absl::string_view directory, unsigned bytes) {
  // Not by stat(2), which would wait for the file system to answer.
  const std::optional<MountEntry> mount = FindMount(directory);
  if (!mount.has_value()) return;
  std::ofstream file(absl::StrCat("/sys/class/bdi/", mount->device, "/read_ahead_kb"));
  file << bytes / 1024 << std::flush;
}

}  // namespace crfs
