// SPDX-License-Identifier: Apache-2.0
//
// A generated image in a directory of its own, and its mounts.

#ifndef CRFS_TESTS_MOUNT_MOUNTED_H_
#define CRFS_TESTS_MOUNT_MOUNTED_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/generate/generate.h"
#include "tests/mount/command.h"

namespace crfs {

// Each test has an empty directory, with an image, a place for indexes and a mountpoint.
// All that is mounted there is unmounted at the end, also when the test fails. Where FUSE
// cannot be used, tests are skipped; with CRFS_TESTS_NO_SKIP in the environment they fail.
class MountTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Makes `image()`. The default is small and has one of everything.
  void Generate(const GenerateOptions& options = {});
  // `crfs mount IMAGE DIR` with more arguments, in the background.
  testing::AssertionResult Mount(const std::string& arguments = "");
  // The same, of what Generate makes.
  void GenerateAndMount(const GenerateOptions& options = {});
  testing::AssertionResult Unmount();
  // Whether something is mounted there.
  static bool IsMounted(const std::string& directory);
  // Pids of the daemons that serve mounts below home().
  std::vector<pid_t> Daemons() const;
  // Waits up to ten seconds until none is left.
  bool DaemonsEnd() const;

  // All absolute; nothing in them needs quoting.
  const std::string& home() const { return home_; }
  std::string image() const { return home_ + "/image.crfs"; }
  std::string index() const { return home_ + "/index"; }
  std::string directory() const { return home_ + "/mnt"; }

 private:
  std::string home_;
};

}  // namespace crfs

#endif  // CRFS_TESTS_MOUNT_MOUNTED_H_
