// SPDX-License-Identifier: Apache-2.0
//
// Real programs, run as a person would run them.

#ifndef CRFS_TESTS_MOUNT_COMMAND_H_
#define CRFS_TESTS_MOUNT_COMMAND_H_

#include <gtest/gtest.h>

#include <string>

#include "tests/sanitized.h"

namespace crfs {

struct CommandResult {
  int status = 0;  // exit status; 128 + the signal's number; 124 if the time was over
  std::string out;
  std::string err;
};

// Seconds that a script may take where a test does not say more: it only bounds what hangs.
inline constexpr int kPatience = kSanitized ? 300 : 60;

// Runs `script` in bash, with `crfs` being the program under test, and waits until it and
// all that hold its output have ended, at most `seconds`.
CommandResult RunScript(const std::string& script, int seconds = kPatience);

// Whether it exits with 0; if not, with its output.
testing::AssertionResult Succeeds(const std::string& script, int seconds = kPatience);

// The same, and it prints nothing on standard output.
testing::AssertionResult PrintsNothing(const std::string& script);

// Whether this machine has the program; if not, says so.
bool HasProgram(const std::string& name);

}  // namespace crfs

#endif  // CRFS_TESTS_MOUNT_COMMAND_H_
