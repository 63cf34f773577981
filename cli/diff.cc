// SPDX-License-Identifier: Apache-2.0
//
// crfs diff: what differs between two checkpoints. Exit status as that of diff(1).

#include "index/diff.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "cli/loaded_argument.h"
#include "cli/verbs.h"
#include "index/byte_stream.h"
#include "index/loaded_checkpoint.h"

namespace crfs {
namespace {

constexpr int kDiffDiffers = 1;
constexpr int kDiffTrouble = 2;

struct DiffArguments {
  std::string one;
  std::string other;
  DiffOptions options;
};

int RunDiff(const DiffArguments& arguments) {
  const std::optional<LoadedCheckpoint> one = LoadArgument(arguments.one);
  const std::optional<LoadedCheckpoint> other = LoadArgument(arguments.other);
  if (!one.has_value() || !other.has_value()) return kDiffTrouble;
  FdSink out(STDOUT_FILENO, "standard output");
  const absl::StatusOr<bool> differ = DiffCheckpoints(*one, *other, arguments.options, out);
  if (!differ.ok()) {
    PrintProblem(differ.status().message());
    return kDiffTrouble;
  }
  return *differ ? kDiffDiffers : 0;
}

}  // namespace

Verb AddDiff(CLI::App& app) {
  CLI::App* command = app.add_subcommand("diff", "Say what differs between two checkpoints");
  auto arguments = std::make_shared<DiffArguments>();
  command->add_option("A", arguments->one, "an image, or a directory that holds a tree")
      ->required();
  command->add_option("B", arguments->other, "the other one")->required();
  command->add_flag("--restored", arguments->options.restored_only,
                    "only what a restart sets again: not what is said for information");
  return {command, [arguments]() -> absl::StatusOr<int> { return RunDiff(*arguments); }};
}

}  // namespace crfs
