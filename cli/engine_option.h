// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_ENGINE_OPTION_H_
#define CRFS_CLI_ENGINE_OPTION_H_

#include <CLI/CLI.hpp>
#include <string>

namespace crfs {

// Adds --engine auto|kernel|ptrace to a verb: `takes` is what it takes, in words. `word` must
// outlive the verb; FindEngine knows what it means.
CLI::Option* AddEngineOption(CLI::App& command, const std::string& takes, std::string& word);

}  // namespace crfs

#endif  // CRFS_CLI_ENGINE_OPTION_H_
