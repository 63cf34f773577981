// SPDX-License-Identifier: Apache-2.0

#include "cli/capture_options.h"

#include "cli/engine_option.h"
#include "engine/exclusion.h"

namespace crfs {
namespace {

std::string WrongExclusion(const std::string& text) {
  return std::string(ParseExclusion(text).status().message());
}

}  // namespace

void AddCaptureOptions(CLI::App& command, CaptureArguments& arguments) {
  AddEngineOption(command, "checkpoint", arguments.engine);
  command
      .add_option("--exclude", arguments.exclude,
                  "leave out descriptor N, the memory of mappings of that name, or that at these "
                  "addresses, in every task or in PID; may be given several times")
      ->type_name("[PID:]fd:N|vma:NAME|START-END")
      ->allow_extra_args(false)
      ->check(WrongExclusion, "");
  command.add_flag("--skip-dontdump", arguments.skip_dontdump,
                   "leave out memory that the program does not want in core files "
                   "(MADV_DONTDUMP)");
}

}  // namespace crfs
