// SPDX-License-Identifier: Apache-2.0
//
// crfs run: starts a program and checkpoints it at intervals, or goes on with one that it has.

#include "engine/run.h"

#include <memory>
#include <string>
#include <vector>

#include "cli/capture_options.h"
#include "cli/loaded_argument.h"
#include "cli/restart_options.h"
#include "cli/verbs.h"

namespace crfs {
namespace {

constexpr double kShortestEvery = 0.01, kLongestEvery = 31'536'000;  // seconds
constexpr uint64_t kDefaultKeep = 3;

struct RunArguments {
  std::vector<std::string> program;
  double every = 0;
  uint64_t keep = kDefaultKeep;
  std::string to;
  std::string resume;
  std::vector<std::string> fds;
  CaptureArguments capture;
};

absl::StatusOr<int> RunNew(const RunArguments& arguments) {
  const RunSettings settings = {.every = absl::Seconds(arguments.every),
                                .keep = arguments.keep,
                                .engine = arguments.capture.engine,
                                .exclude = arguments.capture.exclude,
                                .skip_dontdump = arguments.capture.skip_dontdump};
  const absl::StatusOr<RunFolder> folder = RunFolder::Create(arguments.to);
  if (!folder.ok()) return folder.status();
  if (absl::Status status = folder->WriteSettings(settings); !status.ok()) return status;
  return RunProgram(arguments.program, *folder, settings, PrintProblem);
}

// With the settings that the folder has.
absl::StatusOr<int> Resume(const RunArguments& arguments) {
  const absl::StatusOr<RunFolder> folder = RunFolder::Open(arguments.resume);
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<RunSettings> settings = folder->ReadSettings();
  if (!settings.ok()) return settings.status();
  RestartOptions options;
  options.fds = ReadGivenFds(arguments.fds);
  return ResumeProgram(*folder, *settings, options, PrintProblem);
}

}  // namespace

Verb AddRun(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "run", "Start a program and checkpoint it at intervals, or resume it from the last one");
  auto arguments = std::make_shared<RunArguments>();
  CLI::Option* program =
      command->add_option("PROGRAM", arguments->program, "the program and its arguments, after --");
  CLI::Option* every =
      command->add_option("--every", arguments->every, "seconds from one checkpoint to the next")
          ->type_name("SECONDS")
          ->check(CLI::Range(kShortestEvery, kLongestEvery));
  CLI::Option* to = command->add_option("--to", arguments->to, "the folder for the checkpoints")
                        ->type_name("DIR");
  CLI::Option* keep = command->add_option("--keep", arguments->keep, "how many checkpoints to keep")
                          ->type_name("N")
                          ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000}))
                          ->capture_default_str();
  CLI::Option* resume =
      command
          ->add_option("--resume", arguments->resume,
                       "restart the newest checkpoint in this folder that is whole, and go on "
                       "checkpointing as before")
          ->type_name("DIR");
  AddCaptureOptions(*command, arguments->capture);
  AddGivenFds(*command, arguments->fds);
  for (CLI::Option* option : command->get_options()) {
    const bool is_for_both = option == resume || option->get_name() == "--help";
    if (!is_for_both && option->get_name() != "--fd") option->excludes(resume);
  }
  command->get_option("--fd")->needs(resume);
  every->needs(program)->needs(to);
  to->needs(every);
  program->needs(every);
  keep->needs(every);
  command->callback([resume, every] {
    if (resume->empty() && every->empty()) {
      throw CLI::RequiredError("--resume, or --every, --to and PROGRAM,");
    }
  });
  return {command, [arguments] {
            return arguments->resume.empty() ? RunNew(*arguments) : Resume(*arguments);
          }};
}

}  // namespace crfs
