// SPDX-License-Identifier: Apache-2.0
//
// crfs checkpoint: saves a running program, with all of its descendants.

#include "engine/checkpoint.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/capture_options.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "engine/self_request.h"
#include "fusefs/errno.h"

namespace crfs {
namespace {

struct Arguments {
  CheckpointOptions options;
  CaptureArguments capture;
  std::string request;
  bool kill = false;
  bool stop = false;
};

absl::StatusOr<CheckpointResult> Take(CheckpointOptions& options) {
  Progress progress(absl::StrCat("saving ", options.pid));
  options.progress = [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); };
  return TakeCheckpoint(options);
}

// For a program that has asked to be saved, which gets to know how that ends.
absl::StatusOr<CheckpointResult> TakeAndTell(CheckpointOptions& options) {
  const SelfRequest& request = *options.request;
  if (absl::Status status = request.AwaitReady(); !status.ok()) {
    (void)request.AnswerFailure(ErrnoOf(status), status.message());
    return status;
  }
  absl::StatusOr<CheckpointResult> result = Take(options);
  absl::Status told;
  if (result.ok()) {
    told = request.Answer(request.pid(), CRFS_REQUEST_DONE);
  } else {
    told = request.AnswerFailure(ErrnoOf(result.status()), result.status().message());
  }
  // The program may have ended meanwhile; its image is none the worse.
  (void)told;
  return result;
}

absl::StatusOr<int> RunCheckpoint(Arguments& arguments) {
  CheckpointOptions& options = arguments.options;
  if (options.image == "-" && ::isatty(STDOUT_FILENO)) {
    return absl::InvalidArgumentError(
        "standard output: is a terminal, and an image is binary: redirect it, or name a file");
  }
  options.engine = *FindEngine(arguments.capture.engine);
  options.exclude.dontdump = arguments.capture.skip_dontdump;
  for (const std::string& text : arguments.capture.exclude) {
    options.exclude.named.push_back(*ParseExclusion(text));
  }
  if (arguments.kill) options.afterwards = Afterwards::kKill;
  if (arguments.stop) options.afterwards = Afterwards::kStop;
  if (!arguments.request.empty()) {
    const absl::StatusOr<SelfRequest> request = SelfRequest::Parse(arguments.request);
    if (!request.ok()) return request.status();
    options.request = *request;
  }
  const absl::StatusOr<CheckpointResult> result =
      options.request.has_value() ? TakeAndTell(options) : Take(options);
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
  AddCaptureOptions(*command, arguments->capture);
  command->add_flag("--inspect", arguments->options.inspect,
                    "save states that cannot be restarted, too, and list them in "
                    "checkpoint/unsupported");
  CLI::Option* kill =
      command->add_flag("--kill", arguments->kill, "kill the program once it is saved");
  command->add_flag("--stop", arguments->stop, "leave it stopped (SIGCONT lets it go on)")
      ->excludes(kill);
  CLI::Option* fork = command
                          ->add_flag("--fork", arguments->options.copy,
                                     "let the program go on as soon as its memory is copied by "
                                     "fork(2), and write the image from the copy")
                          ->excludes(kill)
                          ->excludes("--stop");
  command->add_option("--request", arguments->request)->needs(fork)->group("");  // of libcrfs alone
  return {command, [arguments] { return RunCheckpoint(*arguments); }};
}

}  // namespace crfs
