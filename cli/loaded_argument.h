// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_LOADED_ARGUMENT_H_
#define CRFS_CLI_LOADED_ARGUMENT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// One problem of several, as main prints one: `crfs: PATH: what is wrong: what to do`.
void PrintProblem(absl::string_view message);

// Reads the checkpoint that a verb works on: an image, or a directory that holds a tree. Says
// itself what is wrong, all of it, and which files count for nothing.
std::optional<LoadedCheckpoint> LoadArgument(const std::string& path);

}  // namespace crfs

#endif  // CRFS_CLI_LOADED_ARGUMENT_H_
