// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_given.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace crfs {

std::optional<int> CallersDescriptor(absl::string_view path) {
  if (path == "/dev/stdin") return 0;
  if (path == "/dev/stdout") return 1;
  if (path == "/dev/stderr") return 2;
  int number;
  if (!absl::ConsumePrefix(&path, "/dev/fd/") || path.empty() ||
      !absl::ascii_isdigit(static_cast<unsigned char>(path.front())) ||
      !absl::ascii_isdigit(static_cast<unsigned char>(path.back())) ||
      !absl::SimpleAtoi(path, &number)) {
    return std::nullopt;
  }
  return number;
}

std::optional<ObjectView> FindGivenFd(const LoadedCheckpoint& checkpoint, const GivenFd& given) {
  for (const uint64_t task_id : checkpoint.Ids("task")) {
    const ObjectView task = checkpoint.Get("task", task_id);
    if (task.KeyNumber() != static_cast<uint64_t>(given.pid)) continue;
    for (const uint64_t id : checkpoint.Owned("fd", task.Number("fd"))) {
      const ObjectView fd = checkpoint.Get("fd", id);
      if (fd.KeyNumber() == static_cast<uint64_t>(given.fd)) return fd;
    }
  }
  return std::nullopt;
}

std::map<uint64_t, int> GivenFiles(const LoadedCheckpoint& checkpoint,
                                   const RestartOptions& options) {
  std::map<uint64_t, int> files;
  for (const uint64_t id : checkpoint.Ids("file")) {
    const auto number = CallersDescriptor(checkpoint.Get("file", id).Bytes("path"));
    if (number.has_value()) files[id] = *number;
  }
  for (const GivenFd& given : options.fds) {
    const std::optional<ObjectView> fd = FindGivenFd(checkpoint, given);
    if (!fd.has_value() || fd->Number("file") == 0 || fd->Number("excluded") != 0) continue;
    files[fd->Number("file")] = given.number;
  }
  return files;
}

bool StaysClosed(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
                 const ObjectView& fd) {
  if (fd.Number("excluded") == 0) return false;
  const auto is_it = [&](const Inherited& given) { return given.fd_id == fd.id(); };
  if (std::ranges::any_of(checkpoint.inherited(), is_it)) return false;
  return std::ranges::none_of(options.fds, [&](const GivenFd& given) {
    const std::optional<ObjectView> found = FindGivenFd(checkpoint, given);
    return found.has_value() && found->id() == fd.id();
  });
}

std::set<uint64_t> FilesInUse(const LoadedCheckpoint& checkpoint) {
  std::set<uint64_t> files;
  for (const uint64_t id : checkpoint.Ids("fd")) {
    const ObjectView fd = checkpoint.Get("fd", id);
    if (fd.Number("excluded") == 0) files.insert(fd.Number("file"));
  }
  for (const uint64_t id : checkpoint.Ids("vma")) {
    files.insert(checkpoint.Get("vma", id).Number("file"));
  }
  for (const uint64_t id : checkpoint.Ids("mm")) {
    files.insert(checkpoint.Get("mm", id).Number("exe"));
  }
  for (const uint64_t id : checkpoint.Ids("fs")) {
    files.insert(checkpoint.Get("fs", id).Number("cwd"));
    files.insert(checkpoint.Get("fs", id).Number("root"));
  }
  files.erase(0);
  return files;
}

}  // namespace crfs
