// SPDX-License-Identifier: Apache-2.0

#include "cli/restart_options.h"

#include <cstdint>
#include <cstdio>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/engine_option.h"
#include "cli/loaded_argument.h"
#include "cli/progress.h"

namespace crfs {
namespace {

// Digits alone: SimpleAtoi would take a sign or blanks, too.
bool ParseNumber(absl::string_view text, int& number) {
  return !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.front())) &&
         absl::ascii_isdigit(static_cast<unsigned char>(text.back())) &&
         absl::SimpleAtoi(text, &number);
}

std::optional<GivenFd> ParseGivenFd(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> sides =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::pair<absl::string_view, absl::string_view> place =
      absl::StrSplit(sides.first, absl::MaxSplits(':', 1));
  GivenFd given = {};
  if (!ParseNumber(place.first, given.pid) || !ParseNumber(place.second, given.fd) ||
      !ParseNumber(sides.second, given.number)) {
    return std::nullopt;
  }
  return given;
}

std::string WrongGivenFd(const std::string& text) {
  if (ParseGivenFd(text).has_value()) return "";
  return "'" + text + "' is not PID:FD=N, such as 981:6=3";
}

// Memory is verified while it is restored; here, if that will not be.
Problems FindProblems(const LoadedCheckpoint& loaded, const RestartArguments& arguments) {
  Problems problems;
  CheckRestart(loaded, arguments.options, problems);
  if (problems.empty() && !arguments.check) return problems;
  Progress progress("checking " + arguments.path);
  const absl::Status memory = loaded.VerifyMemory(
      [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); });
  if (!memory.ok()) problems.emplace_back(memory.message());
  return problems;
}

}  // namespace

void AddGivenFds(CLI::App& command, std::vector<std::string>& fds) {
  command
      .add_option("--fd", fds,
                  "descriptor N of the caller in place of descriptor FD of task PID; may be "
                  "given several times")
      ->type_name("PID:FD=N")
      ->allow_extra_args(false)
      ->check(WrongGivenFd, "");
}

std::vector<GivenFd> ReadGivenFds(const std::vector<std::string>& fds) {
  std::vector<GivenFd> given;
  for (const std::string& text : fds) given.push_back(*ParseGivenFd(text));
  return given;
}

void AddRestartOptions(CLI::App& command, RestartArguments& arguments) {
  command.add_flag("--check", arguments.check,
                   "only say what stands in the way, and exit with 1 if anything does");
  command.add_flag("--detach", arguments.detach,
                   "print the program's pid and return, once it runs");
  AddGivenFds(command, arguments.fds);
  AddEngineOption(command, "restart", arguments.engine);
  command.add_flag("--pidns", arguments.options.pid_namespace,
                   "in a pid namespace of its own, where no pid is taken");
}

absl::StatusOr<int> RunRestart(const LoadedCheckpoint& loaded, RestartArguments& arguments) {
  arguments.options.fds = ReadGivenFds(arguments.fds);
  arguments.options.engine = *FindEngine(arguments.engine);
  const Problems problems = FindProblems(loaded, arguments);
  for (const std::string& problem : problems) PrintProblem(problem);
  if (!problems.empty()) return 1;
  if (arguments.check) return 0;
  absl::StatusOr<Restarted> restarted;
  {
    Progress progress("restarting " + arguments.path);
    arguments.options.progress = [&progress](uint64_t done, uint64_t total) {
      progress.Update(done, total);
    };
    restarted = Restart(loaded, arguments.options);
  }
  if (!restarted.ok()) return restarted.status();
  if (!arguments.detach) return AwaitEnd(*restarted);
  std::printf("%d\n", restarted->root);
  return 0;
}

}  // namespace crfs
