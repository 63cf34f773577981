// SPDX-License-Identifier: Apache-2.0

#include "fusefs/umount.h"

#include <memory>
#include <string>

#include "cli/verbs.h"

namespace crfs {

Verb AddUmount(CLI::App& app) {
  struct Options {
    std::string directory;
    bool lazy = false;
  };
  CLI::App* command = app.add_subcommand("umount", "Unmount what crfs mount has mounted");
  auto options = std::make_shared<Options>();
  command->add_option("DIR", options->directory, "the directory it is mounted on")->required();
  command->add_flag("-l,--lazy", options->lazy, "even if it is in use: it goes with its last user");
  return {command, [options]() -> absl::StatusOr<int> {
            const absl::Status status = Unmount(options->directory, options->lazy);
            if (!status.ok()) return status;
            return 0;
          }};
}

}  // namespace crfs
