// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_IMAGE_ARGUMENT_H_
#define CRFS_CLI_IMAGE_ARGUMENT_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "index/index.h"

namespace crfs {

// The image that a verb looks at, and where its index is kept.
struct ImageArgument {
  std::string path;
  std::string index_directory;
};

// Adds IMAGE and --index DIR to a verb.
std::shared_ptr<ImageArgument> AddImageArgument(CLI::App& command);

// Opens it, with progress on a terminal while an index is built.
absl::StatusOr<std::unique_ptr<Index>> OpenImage(const ImageArgument& argument);

}  // namespace crfs

#endif  // CRFS_CLI_IMAGE_ARGUMENT_H_
