// SPDX-License-Identifier: Apache-2.0

#include "cli/loaded_argument.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace crfs {
namespace {

// Where a writable mount keeps its edits while it is not mounted.
bool IsUnmounted(const std::string& path) {
  return ::access((path + "/.crfs-edits").c_str(), F_OK) == 0 &&
         ::access((path + "/checkpoint").c_str(), F_OK) != 0;
}

}  // namespace

void PrintProblem(absl::string_view message) {
  std::fprintf(stderr, "crfs: %.*s\n", static_cast<int>(message.size()), message.data());
}

std::optional<LoadedCheckpoint> LoadArgument(const std::string& path) {
  if (IsUnmounted(path)) {
    PrintProblem(absl::StrCat(path,
                              ": is a writable tree that is not mounted: mount it first, as "
                              "before (crfs mount --rw IMAGE, or --new)"));
    return std::nullopt;
  }
  Problems problems;
  absl::StatusOr<LoadedCheckpoint> loaded = LoadedCheckpoint::Open(path, problems);
  if (!loaded.ok()) PrintProblem(loaded.status().message());
  for (const std::string& problem : problems) PrintProblem(problem);
  if (!loaded.ok() || !problems.empty()) return std::nullopt;
  for (const std::string& leftover : loaded->leftovers()) {
    PrintProblem(leftover + ": is no file of a tree: it is left out");
  }
  return *std::move(loaded);
}

}  // namespace crfs
