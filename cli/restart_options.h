// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_RESTART_OPTIONS_H_
#define CRFS_CLI_RESTART_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/restart.h"

namespace crfs {

// What `crfs commit` and `crfs restart` have in common.
struct RestartArguments {
  std::string path;  // an image, or a directory that holds a tree
  RestartOptions options;
  std::vector<std::string> fds;  // PID:FD=N, well formed
  std::string engine = "auto";
  bool check = false;
  bool detach = false;
};

// Adds --check, --detach, --engine, --fd and --pidns to a verb; `arguments` must outlive it.
void AddRestartOptions(CLI::App& command, RestartArguments& arguments);

// --fd alone, into `fds`, and what these mean.
void AddGivenFds(CLI::App& command, std::vector<std::string>& fds);
std::vector<GivenFd> ReadGivenFds(const std::vector<std::string>& fds);

// Restarts `loaded`, which stands at arguments.path, or with --check only looks whether that
// can be done. Returns the exit status; problems have been printed.
absl::StatusOr<int> RunRestart(const LoadedCheckpoint& loaded, RestartArguments& arguments);

}  // namespace crfs

#endif  // CRFS_CLI_RESTART_OPTIONS_H_
