// SPDX-License-Identifier: Apache-2.0
//
// The verbs of the command line: one file each, which declares its options and calls the
// library that does the work.

#ifndef CRFS_CLI_VERBS_H_
#define CRFS_CLI_VERBS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/statusor.h"

namespace crfs {

struct Verb {
  const CLI::App* command;
  // Runs the verb once its options are parsed. The number is the exit status. The message of
  // an error reads `PATH: what is wrong: what to do`; it is printed after `crfs: ` and the
  // exit status is 1. A verb that has printed everything itself returns 1.
  std::function<absl::StatusOr<int>()> run;
};

// Each adds its subcommand to `app`, which must outlive the verb.
Verb AddCheckpoint(CLI::App& app);
Verb AddCommit(CLI::App& app);
Verb AddDiff(CLI::App& app);
Verb AddDoctor(CLI::App& app);
Verb AddMount(CLI::App& app);
Verb AddRestart(CLI::App& app);
Verb AddRun(CLI::App& app);
Verb AddShow(CLI::App& app);
Verb AddUmount(CLI::App& app);
Verb AddVerify(CLI::App& app);

}  // namespace crfs

#endif  // CRFS_CLI_VERBS_H_
