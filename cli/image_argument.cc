// SPDX-License-Identifier: Apache-2.0

#include "cli/image_argument.h"

#include "cli/progress.h"

namespace crfs {

std::shared_ptr<ImageArgument> AddImageArgument(CLI::App& command) {
  auto argument = std::make_shared<ImageArgument>();
  command.add_option("IMAGE", argument->path, "the image to look at")->required();
  command
      .add_option("--index", argument->index_directory,
                  "where indexes are kept (default: $XDG_CACHE_HOME/crfs)")
      ->type_name("DIR");
  return argument;
}

absl::StatusOr<std::unique_ptr<Index>> OpenImage(const ImageArgument& argument) {
  Progress progress("indexing " + argument.path);
  IndexOptions options;
  options.directory = argument.index_directory;
  options.progress = [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); };
  return Index::Open(argument.path, options);
}

}  // namespace crfs
