// SPDX-License-Identifier: Apache-2.0
//
// Trees that can be changed, and what a program sees of its system calls on them.

#ifndef CRFS_TESTS_MOUNT_WRITABLE_H_
#define CRFS_TESTS_MOUNT_WRITABLE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "tests/mount/mounted.h"

namespace crfs {

class WritableTest : public MountTest {
 protected:
  // `crfs mount --rw` of what Generate makes, and `crfs mount --new`, on directory().
  void GenerateAndMountWritable(const GenerateOptions& options = {});
  testing::AssertionResult MountWritable(const std::string& arguments = "");
  testing::AssertionResult MountNew(const std::string& arguments = "");

  // Of a path in the mount.
  std::string At(absl::string_view path) const;
  // Runs a script in the root of the mount.
  testing::AssertionResult Does(const std::string& script, int seconds = kPatience) const;

  // Whether the tree in a directory is the image.
  testing::AssertionResult IsTheImage(const std::string& tree) const;
};

// What a program does that writes a file anew: open with O_CREAT and `flags`, write, close. The
// errno of the first of them that fails; 0: none did.
int Put(const std::string& path, absl::string_view text, int flags);
int Put(const std::string& path, absl::string_view text);
// The same, with fsync in place of close.
int PutAndSync(const std::string& path, absl::string_view text);
// All of a file; `(errno)` if it cannot be read.
std::string Get(const std::string& path);
// Of an extended attribute; `(errno)` if there is none.
std::string Xattr(const std::string& path, const std::string& name);

}  // namespace crfs

#endif  // CRFS_TESTS_MOUNT_WRITABLE_H_
