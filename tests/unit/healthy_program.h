// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint of a small program in which nothing stands in the way of a restart by a plain
// user on a machine that both are made up here, so that a test can break one thing.

#ifndef CRFS_TESTS_UNIT_HEALTHY_PROGRAM_H_
#define CRFS_TESTS_UNIT_HEALTHY_PROGRAM_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/restart_caller.h"
#include "engine/restart_check.h"
#include "index/loaded_checkpoint.h"
#include "tests/unit/test_image.h"

namespace crfs {

class HealthyProgram {
 public:
  // Its objects; all but those of file kinds have id 1.
  static constexpr uint64_t kProgram = 1;  // a regular file: mapped, run, and read by fd 0
  static constexpr uint64_t kOutput = 2;   // a regular file, written by fd 1
  static constexpr uint64_t kRootDirectory = 3;
  static constexpr uint64_t kReadEnd = 4;   // of a pipe, fd 3
  static constexpr uint64_t kWriteEnd = 5;  // fd 4
  static constexpr uint64_t kTerminal = 6;  // fd 5
  static constexpr uint64_t kNull = 7;      // /dev/null, fd 6

  HealthyProgram();

  // Changes one row; values are not checked.
  HealthyProgram& Set(absl::string_view type, uint64_t id, absl::string_view field,
                      uint64_t number);
  HealthyProgram& Set(absl::string_view type, uint64_t id, absl::string_view field,
                      absl::string_view bytes);
  // Adds an object, with the next id of its type. Owned ones must come in order.
  uint64_t Add(const ObjectBuilder& object);
  ObjectBuilder Copy(absl::string_view type, uint64_t id) const;

  // The problems that one part of the check finds, without `crfs: ` and the image's path.
  std::vector<std::string> Problems(void (*part)(const RestartCheck&)) const;

  std::string program() const { return folder_ / "program"; }
  std::string output() const { return folder_ / "output"; }

  RestartOptions options;
  Caller caller;
  Machine machine;

 private:
  std::vector<ObjectBuilder>& Of(absl::string_view type);
  ObjectBuilder Regular(const std::string& path, uint64_t flags) const;

  TemporaryFolder folder_;
  std::map<uint32_t, std::vector<ObjectBuilder>> objects_;  // by tag, then id - 1
};

}  // namespace crfs

#endif  // CRFS_TESTS_UNIT_HEALTHY_PROGRAM_H_
