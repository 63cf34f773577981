// SPDX-License-Identifier: Apache-2.0
//
// crfs checkpoint: saves a running program, with all of its descendants.

#include "engine/checkpoint.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/engine_option.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace crfs {
namespace {

struct Arguments {
  CheckpointOptions options;
  std::string engine = "auto";
  bool kill = false;
  bool stop = false;
};

absl::StatusOr<int> RunCheckpoint(Arguments& arguments) {
  CheckpointOptions& options = arguments.options;
  if (options.image == "-" && ::isatty(STDOUT_FILENO)) {
    return absl::InvalidArgumentError(
        "standard output: is a terminal, and an image is binary: redirect it, or name a file");
  }
  options.engine = EngineNamed(arguments.engine);
  if (arguments.kill) options.afterwards = Afterwards::kKill;
  if (arguments.stop) options.afterwards = Afterwards::kStop;
  absl::StatusOr<CheckpointResult> result;
  {
    Progress progress(absl::StrCat("saving ", options.pid));
    options.progress = [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); };
    result = TakeCheckpoint(options);
  }
  if (!result.ok()) return result.status();
  for (const std::string& state : result->unsupported) {
    std::fprintf(stderr, "crfs: %s\n", state.c_str());
  }
  return 0;
}

}  // namespace

Verb AddCheckpoint(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "checkpoint", "Save a running program, with all of its descendants, as an image");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("PID", arguments->options.pid, "the program's process id")
      ->required()
      ->check(CLI::PositiveNumber);
  command->add_option("-o,--output", arguments->options.image, "the image; - is standard output")
      ->type_name("IMAGE")
      ->required();
  AddEngineOption(*command, "checkpoint", arguments->engine);
  command->add_flag("--inspect", arguments->options.inspect,
                    "save states that cannot be restarted, too, and list them in "
                    "checkpoint/unsupported");
  CLI::Option* kill =
      command->add_flag("--kill", arguments->kill, "kill the program once it is saved");
  command->add_flag("--stop", arguments->stop, "leave it stopped (SIGCONT lets it go on)")
      ->excludes(kill);
  return {command, [arguments] { return RunCheckpoint(*arguments); }};
}

}  // namespace crfs
