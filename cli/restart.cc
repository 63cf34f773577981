// SPDX-License-Identifier: Apache-2.0
//
// crfs restart: restarts an image, without a mount.

#include "engine/restart.h"

#include <memory>
#include <optional>

#include "cli/loaded_argument.h"
#include "cli/restart_options.h"
#include "cli/verbs.h"

namespace crfs {

Verb AddRestart(CLI::App& app) {
  CLI::App* command = app.add_subcommand("restart", "Restart an image, without a mount");
  auto arguments = std::make_shared<RestartArguments>();
  command->add_option("IMAGE", arguments->path, "the image, or a tree as for commit")->required();
  AddRestartOptions(*command, *arguments);
  return {command, [arguments]() -> absl::StatusOr<int> {
            const std::optional<LoadedCheckpoint> loaded = LoadArgument(arguments->path);
            if (!loaded.has_value()) return 1;
            return RunRestart(*loaded, *arguments);
          }};
}

}  // namespace crfs
