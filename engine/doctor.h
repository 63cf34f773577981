// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_DOCTOR_H_
#define CRFS_ENGINE_DOCTOR_H_

#include <string>
#include <vector>

namespace crfs {

// One thing that crfs needs of the machine.
struct Finding {
  bool works;
  std::string what;    // "kernel engine", ...
  std::string detail;  // what was found
  std::string remedy;  // what to do where it does not work
};

// Looks at the machine, changes nothing. `index_directory` empty: the default one.
std::vector<Finding> ExamineMachine(const std::string& index_directory);

}  // namespace crfs

#endif  // CRFS_ENGINE_DOCTOR_H_
