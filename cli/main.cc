// SPDX-License-Identifier: Apache-2.0

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/loaded_argument.h"
#include "cli/mount_helper.h"
#include "cli/verbs.h"

namespace crfs {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int Main(int argc, char** argv) {
  CLI::App app("Checkpoints of running programs as file systems", "crfs");
  app.set_version_flag("--version", "crfs " CRFS_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  const std::vector<Verb> verbs = {
      AddCheckpoint(app), AddMount(app), AddUmount(app), AddCommit(app), AddRestart(app),
      AddRun(app),        AddDiff(app),  AddShow(app),   AddVerify(app), AddDoctor(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    PrintProblem(error.what());
    std::fprintf(stderr, "Try 'crfs --help'.\n");
    return kUsage;
  }
  for (const Verb& verb : verbs) {
    if (!verb.command->parsed()) continue;
    const absl::StatusOr<int> status = verb.run();
    if (status.ok()) return *status;
    PrintProblem(status.status().message());
    return kFailed;
  }
  return kUsage;
}

}  // namespace
}  // namespace crfs

int main(int argc, char** argv) {
  try {
    if (argc > 0 && crfs::IsMountHelper(argv[0])) return crfs::RunMountHelper(argc, argv);
    return crfs::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a library's own
    std::fprintf(stderr, "crfs: %s\n", error.what());
    return 1;
  }
}
