// SPDX-License-Identifier: Apache-2.0

#include "cli/engine_option.h"

namespace crfs {

CLI::Option* AddEngineOption(CLI::App& command, const std::string& takes, std::string& word) {
  return command
      .add_option("--engine", word,
                  "what takes the " + takes +
                      ": kernel (the module), ptrace (without it), or auto: the module where it "
                      "is loaded")
      ->check(CLI::IsMember({"auto", "kernel", "ptrace"}))
      ->capture_default_str();
}

}  // namespace crfs
