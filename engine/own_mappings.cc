// SPDX-License-Identifier: Apache-2.0

#include "engine/own_mappings.h"

#include <cinttypes>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "engine/proc_file.h"

namespace crfs {

absl::StatusOr<std::vector<std::pair<std::string, AddressRange>>> OwnMappings() {
  const absl::StatusOr<std::string> maps = ReadProcFile("/proc/self/maps");
  if (!maps.ok()) return maps.status();
  std::vector<std::pair<std::string, AddressRange>> mappings;
  const std::vector<absl::string_view> lines = absl::StrSplit(*maps, '\n', absl::SkipEmpty());
  for (const absl::string_view line : lines) {
    AddressRange range;
    if (std::sscanf(std::string(line).c_str(), "%" SCNx64 "-%" SCNx64, &range.start, &range.end) !=
        2) {
      continue;
    }
    const size_t name = line.find('[');
    mappings.emplace_back(name == absl::string_view::npos ? "" : line.substr(name), range);
  }
  return mappings;
}

absl::StatusOr<std::vector<AddressRange>> OwnMappingRanges() {
  const auto mappings = OwnMappings();
  if (!mappings.ok()) return mappings.status();
  std::vector<AddressRange> ranges;
  for (const auto& [name, range] : *mappings) ranges.push_back(range);
  return ranges;
}

bool IsKernelMapping(absl::string_view name) {
  return absl::StartsWith(name, "[vvar") || name == "[vdso]";
}

uint64_t FindSyscallInVdso() {
  const auto mappings = OwnMappings();
  if (!mappings.ok()) return 0;
  for (const auto& [name, range] : *mappings) {
    if (name != "[vdso]") continue;
    const absl::string_view code(reinterpret_cast<const char*>(range.start), range.size());
    // It asks the kernel for the clocks that it does not know itself.
    const size_t at = code.find("\x0f\x05");
    return at == absl::string_view::npos ? 0 : at;
  }
  return 0;
}

}  // namespace crfs
