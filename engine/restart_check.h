// SPDX-License-Identifier: Apache-2.0
//
// The parts of CheckRestart (engine/restart.h). Each looks for one kind of problem, makes and
// changes nothing.

#ifndef CRFS_ENGINE_RESTART_CHECK_H_
#define CRFS_ENGINE_RESTART_CHECK_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/restart.h"
#include "engine/restart_caller.h"

namespace crfs {

struct RestartCheck {
  RestartCheck(const LoadedCheckpoint& checkpoint, const RestartOptions& options,
               const Caller& caller, const Machine& machine, Problems& problems);

  // `PATH: what is wrong: what to do`.
  void Add(absl::string_view path, absl::string_view what, absl::string_view remedy) const;
  // The same, in a row's file.
  void Add(const ObjectView& object, absl::string_view field, absl::string_view what,
           absl::string_view remedy) const;
  // What the caller has no right to: `right` is the name of the capability that gives it.
  void Deny(const ObjectView& object, absl::string_view field, absl::string_view what,
            absl::string_view right) const;

  const LoadedCheckpoint& checkpoint;
  const RestartOptions& options;
  const Caller& caller;
  const Machine& machine;
  const std::map<uint64_t, int> given;  // GivenFiles
  Problems& problems;
};

// The value of a row as its file shows it, on one line.
std::string ShownValue(const ObjectView& object, absl::string_view field);

// Bits of a row by their words, if it has some.
std::string ShownBits(const Row& row, uint64_t bits);

// Single rows that no restart can set, and what the module would refuse (restart_values.cc).
void CheckValues(const RestartCheck& check);
// Mappings, and the room for the heap (restart_mappings.cc).
void CheckMappings(const RestartCheck& check);
// Extended registers, compared with those of the cpu (restart_xstate.cc).
void CheckExtendedState(const RestartCheck& check);
// Kinds of states that no restart step is there for; call it last of those that name objects,
// because it does not repeat them (restart_states.cc).
void CheckStates(const RestartCheck& check);
// Pids, parents, groups and sessions (restart_pids.cc).
void CheckPids(const RestartCheck& check);
// Files, by their paths (restart_files.cc).
void CheckFiles(const RestartCheck& check);
// Descriptors, those of the caller among them (restart_descriptors.cc).
void CheckDescriptors(const RestartCheck& check);
// What only the module can bring back, where the ptrace engine restarts
// (restart_without_module.cc).
void CheckWithoutModule(const RestartCheck& check);
// What the caller may not do (restart_rights.cc).
void CheckRights(const RestartCheck& check);

// Whether the module is there and can restart, in the words of a message.
absl::Status FindRestartModule();

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_CHECK_H_
