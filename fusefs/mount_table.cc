// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mount_table.h"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace crfs {
namespace {

// Blanks, newlines and backslashes stand as three octal digits.
std::string Unescape(absl::string_view text) {
  std::string result;
  const auto is_octal = [&text](size_t i) { return text[i] >= '0' && text[i] <= '7'; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(i + 1) && is_octal(i + 2) &&
        is_octal(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? "" : real.get();
}

}  // namespace

std::optional<MountEntry> ParseMountEntry(absl::string_view line) {
  // id parent major:minor root directory options [optional...] - type source options
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
  size_t separator = 6;
  while (separator < fields.size() && fields[separator] != "-") ++separator;
  if (separator + 2 >= fields.size()) return std::nullopt;
  return MountEntry{.device = std::string(fields[2]),
                    .directory = Unescape(fields[4]),
                    .type = Unescape(fields[separator + 1]),
                    .source = Unescape(fields[separator + 2]),
                    .read_only = fields[5] == "ro" || absl::StartsWith(fields[5], "ro,")};
}

std::optional<MountEntry> FindMount(absl::string_view directory) {
  std::ifstream table("/proc/self/mountinfo");
  std::optional<MountEntry> found;
  for (std::string line; std::getline(table, line);) {
    std::optional<MountEntry> entry = ParseMountEntry(line);
    if (entry.has_value() && entry->directory == directory) found = std::move(entry);
  }
  return found;
}

std::string AbsolutePath(const std::string& directory) {
  std::string whole = RealPath(directory);
  if (!whole.empty()) return whole;
  // A dead file system fails where its root is looked at; the way to it does not.
  const int error = errno;
  const absl::string_view path = absl::StripSuffix(directory, "/");
  const size_t slash = path.rfind('/');
  const std::string parent(slash == absl::string_view::npos ? "." : path.substr(0, slash + 1));
  const absl::string_view name = slash == absl::string_view::npos ? path : path.substr(slash + 1);
  const std::string above = RealPath(parent);
  if (!above.empty() && !name.empty() && name != "." && name != "..") {
    std::string joined = absl::StrCat(above == "/" ? "" : above, "/", name);
    if (FindMount(joined).has_value()) return joined;
  }
  errno = error;
  return "";
}

}  // namespace crfs
