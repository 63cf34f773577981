// SPDX-License-Identifier: Apache-2.0
//
// An image that changes or shrinks under its mount: EIO, never a wrong byte, and the daemon
// lives on.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/unique_fd.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class DamageTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount({.memory = 8 << 20});
    if (HasFatalFailure()) return;
    const CommandResult found =
        RunScript(absl::StrCat("find ", directory(),
                               " -name pages -type f -printf '%b %p\\n' | sort -n | tail -1 | cut "
                               "-d' ' -f2"));
    memory_ = found.out.substr(0, found.out.find('\n'));
    ASSERT_NE(memory_, "");
  }

  // Reads the biggest memory file; the errno it ends with, or 0.
  int ReadMemory() {
    const UniqueFd file(::open(memory_.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(file.valid()) << memory_;
    std::string buffer(1 << 20, '\0');
    for (;;) {
      const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
      if (got == 0) return 0;
      if (got < 0) return errno;
    }
  }

  void ExpectAlive() {
    EXPECT_EQ(Daemons().size(), 1u);
    EXPECT_TRUE(IsMounted(directory()));
    EXPECT_TRUE(Succeeds(absl::StrCat("stat ", directory())));
    EXPECT_TRUE(Unmount());
    EXPECT_TRUE(DaemonsEnd());
  }

 private:
  std::string memory_;
};

TEST_F(DamageTest, UndamagedItReads) {
  EXPECT_EQ(ReadMemory(), 0);
  ExpectAlive();
}

TEST_F(DamageTest, Truncated) {
  struct stat status;
  ASSERT_EQ(::stat(image().c_str(), &status), 0);
  ASSERT_EQ(::truncate(image().c_str(), status.st_size / 2), 0);
  EXPECT_EQ(ReadMemory(), EIO);
  ExpectAlive();
}

TEST_F(DamageTest, TruncatedToNothing) {
  ASSERT_EQ(::truncate(image().c_str(), 0), 0);
  EXPECT_EQ(ReadMemory(), EIO);
  ExpectAlive();
}

TEST_F(DamageTest, OverwrittenMemory) {
  struct stat status;
  ASSERT_EQ(::stat(image().c_str(), &status), 0);
  {
    const UniqueFd file(::open(image().c_str(), O_WRONLY | O_CLOEXEC));
    const std::string bytes(4096, 'x');
    for (off_t at = status.st_size / 2; at < status.st_size - 65536; at += 65536) {
      ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), at), 4096);
    }
  }
  EXPECT_EQ(ReadMemory(), EIO);
  ExpectAlive();
}

// The mount has its image open; a new file of that name is another image.
TEST_F(DamageTest, ReplacedByAnotherFile) {
  ASSERT_TRUE(
      Succeeds(absl::StrCat("echo other > ", home(), "/new && mv ", home(), "/new ", image())));
  EXPECT_EQ(ReadMemory(), 0);
  ExpectAlive();
}

}  // namespace
}  // namespace crfs
