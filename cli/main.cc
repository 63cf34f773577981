// SPDX-License-Identifier: Apache-2.0

#include <cstdio>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("crfs: checkpoints as file systems");
  app.set_version_flag("--version", "crfs " CRFS_VERSION);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return 0;
}
