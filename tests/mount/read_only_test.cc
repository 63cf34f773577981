// SPDX-License-Identifier: Apache-2.0
//
// Every way to write fails with EROFS, and changes nothing.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

#define EXPECT_EROFS(call)            \
  do {                                \
    errno = 0;                        \
    EXPECT_EQ((call), -1) << #call;   \
    EXPECT_EQ(errno, EROFS) << #call; \
  } while (false)

void ExpectNothingCanBeWritten(const std::string& root) {
  const std::string file_path = root + "/checkpoint/uuid";
  const std::string there_path = root + "/checkpoint";
  const std::string missing_path = root + "/checkpoint/missing";
  const char* const file = file_path.c_str();
  const char* const there = there_path.c_str();
  const char* const missing = missing_path.c_str();
  EXPECT_EROFS(::open(missing, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EROFS(::mkdir(missing, 0700));
  EXPECT_EROFS(::mknod(missing, S_IFREG | 0600, 0));
  EXPECT_EROFS(::mkfifo(missing, 0600));
  EXPECT_EROFS(::symlink("x", missing));
  EXPECT_EROFS(::link(file, missing));
  EXPECT_EROFS(::rename(file, missing));
  EXPECT_EROFS(::unlink(file));
  EXPECT_EROFS(::rmdir(there));
  EXPECT_EROFS(::chmod(file, 0600));
  EXPECT_EROFS(::lchown(file, 1, 1));
  EXPECT_EROFS(::truncate(file, 0));
  const timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
  EXPECT_EROFS(::utimensat(AT_FDCWD, file, times, 0));
  EXPECT_EROFS(::setxattr(file, "user.crfs.x", "1", 1, 0));
  EXPECT_EROFS(::removexattr(file, "user.crfs.type"));
}

class ReadOnlyTest : public MountTest {};

TEST_F(ReadOnlyTest, AsMounted) {
  GenerateAndMount();
  ASSERT_FALSE(HasFatalFailure());
  ExpectNothingCanBeWritten(directory());
  const std::string file = directory() + "/checkpoint/uuid";
  EXPECT_EROFS(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_EROFS(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EROFS(::open(file.c_str(), O_RDONLY | O_TRUNC | O_CLOEXEC));
  EXPECT_EROFS(::open(directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_EROFS(::access(file.c_str(), W_OK));
  EXPECT_TRUE(Succeeds(absl::StrCat("cmp ", image(), " ", directory(), "/.views/blob")));
}

// Root can take the `ro` off a mount; the image stays as it is.
TEST_F(ReadOnlyTest, AfterRemounting) {
  GenerateAndMount();
  ASSERT_FALSE(HasFatalFailure());
  const std::string wanted = RunScript(absl::StrCat("cat ", directory(), "/checkpoint/uuid")).out;
  if (RunScript(absl::StrCat("mount -i -o remount,rw ", directory())).status != 0) {
    GTEST_SKIP() << "cannot remount here";
  }
  ExpectNothingCanBeWritten(directory());
  EXPECT_NE(RunScript(absl::StrCat("echo x > ", directory(), "/checkpoint/uuid")).status, 0);
  EXPECT_EQ(RunScript(absl::StrCat("cat ", directory(), "/checkpoint/uuid")).out, wanted);
}

}  // namespace
}  // namespace crfs
