// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_CAPTURE_OPTIONS_H_
#define CRFS_CLI_CAPTURE_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace crfs {

// What `crfs checkpoint` and `crfs run` have in common. All words are well formed.
struct CaptureArguments {
  std::string engine = "auto";       // see FindEngine
  std::vector<std::string> exclude;  // see ParseExclusion
  bool skip_dontdump = false;
};

// Adds --engine, --exclude and --skip-dontdump to a verb; `arguments` must outlive it.
void AddCaptureOptions(CLI::App& command, CaptureArguments& arguments);

}  // namespace crfs

#endif  // CRFS_CLI_CAPTURE_OPTIONS_H_
