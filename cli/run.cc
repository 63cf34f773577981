// SPDX-License-Identifier: Apache-2.0
//
// crfs run: starts a program and checkpoints it at intervals, or goes on with one that it has.

#include "engine/run.h"

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "cli/capture_options.h"
#include "cli/loaded_argument.h"
#include "cli/restart_options.h"
#include "cli/verbs.h"
#include "index/codec.h"

namespace crfs {
namespace {

constexpr double kShortestEvery = 0.01, kLongestEvery = 31'536'000;  // seconds
constexpr uint64_t kDefaultKeep = 3;

struct RunArguments {
  std::vector<std::string> program;
  double every = 0;
  std::string signal;
  uint64_t keep = kDefaultKeep;
  std::string to;
  std::string resume;
  std::vector<std::string> fds;
  CaptureArguments capture;
};

// By its name, with or without SIG; nullopt: it has none, or cannot be handled.
std::optional<uint64_t> FindSignal(const std::string& word) {
  const absl::StatusOr<uint64_t> signal =
      ParseSignal(absl::StartsWith(word, "SIG") ? word : "SIG" + word);
  if (!signal.ok() || *signal == SIGKILL || *signal == SIGSTOP) return std::nullopt;
  return *signal;
}

std::string WrongSignal(const std::string& word) {
  return FindSignal(word).has_value() ? "" : "'" + word + "' is no signal to wait for, as USR2 is";
}

absl::StatusOr<int> RunNew(const RunArguments& arguments) {
  RunSettings settings;
  settings.keep = arguments.keep;
  settings.engine = arguments.capture.engine;
  settings.exclude = arguments.capture.exclude;
  settings.skip_dontdump = arguments.capture.skip_dontdump;
  if (arguments.signal.empty()) {
    settings.every = absl::Seconds(arguments.every);
  } else {
    settings.signal = *FindSignal(arguments.signal);
  }
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
  options.engine = *FindEngine(settings->engine);
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
  CLI::Option* signal =
      command
          ->add_option("--signal", arguments->signal,
                       "have the program checkpoint itself whenever it gets this signal")
          ->type_name("SIGNAL")
          ->check(WrongSignal, "")
          ->excludes(every);
  CLI::Option* to = command->add_option("--to", arguments->to, "the folder for the checkpoints")
                        ->type_name("DIR");
  command->add_option("--keep", arguments->keep, "how many checkpoints to keep")
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
  for (const char* name : {"--engine", "--exclude", "--skip-dontdump"}) {
    signal->excludes(command->get_option(name));
  }
  // All but --fd are settings of a new run.
  for (const CLI::Option* option : command->get_options()) {
    const std::string name = option->get_name();
    if (name != "--resume" && name != "--help" && name != "--fd") {
      resume->excludes(command->get_option(name));
    }
  }
  command->get_option("--fd")->needs(resume);
  command->callback([=] {
    const bool is_new = !program->empty() && !to->empty() && (!every->empty() || !signal->empty());
    if (resume->empty() && !is_new) {
      throw CLI::RequiredError("--resume, or --every or --signal with --to and PROGRAM,");
    }
  });
  return {command, [arguments] {
            return arguments->resume.empty() ? RunNew(*arguments) : Resume(*arguments);
          }};
}

}  // namespace crfs
