// SPDX-License-Identifier: Apache-2.0
//
// crfs commit: restarts a tree, or writes it as an image.

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "cli/loaded_argument.h"
#include "cli/progress.h"
#include "cli/restart_options.h"
#include "cli/verbs.h"

namespace crfs {
namespace {

struct CommitArguments {
  RestartArguments restart;
  std::string output;
};

absl::StatusOr<int> WriteImage(const LoadedCheckpoint& loaded, const std::string& output) {
  Progress progress("writing " + output);
  const absl::Status status = WriteCheckpoint(
      loaded, output, [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); });
  if (!status.ok()) return status;
  return 0;
}

absl::StatusOr<int> RunCommit(CommitArguments& arguments) {
  if (arguments.output == "-" && ::isatty(STDOUT_FILENO)) {
    return absl::InvalidArgumentError(
        "standard output: is a terminal, and an image is binary: redirect it, or name a file");
  }
  const std::optional<LoadedCheckpoint> loaded = LoadArgument(arguments.restart.path);
  if (!loaded.has_value()) return 1;
  if (!arguments.output.empty()) return WriteImage(*loaded, arguments.output);
  return RunRestart(*loaded, arguments.restart);
}

}  // namespace

Verb AddCommit(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("commit", "Restart a tree with its changes, or write it as an image");
  auto arguments = std::make_shared<CommitArguments>();
  command
      ->add_option("TREE", arguments->restart.path,
                   "a mount, or any directory that holds a copy of one")
      ->required();
  CLI::Option* output =
      command
          ->add_option("-o,--output", arguments->output,
                       "write this image and restart nothing; - is standard output")
          ->type_name("IMAGE");
  AddRestartOptions(*command, arguments->restart);
  for (const char* option : {"--check", "--detach", "--engine", "--fd", "--pidns"}) {
    output->excludes(command->get_option(option));
  }
  return {command, [arguments] { return RunCommit(*arguments); }};
}

}  // namespace crfs
