// SPDX-License-Identifier: Apache-2.0
//
// What cannot be mounted: one line that says what is wrong, status 1 (2 for wrong usage),
// nothing left behind.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class RefusalTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Generate();
  }

  void ExpectRefused(const std::string& script, const std::string& words) {
    const CommandResult result = RunScript(script);
    EXPECT_EQ(result.status, 1) << script;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(absl::StartsWith(result.err, "crfs: ")) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
    EXPECT_FALSE(IsMounted(directory()));
    EXPECT_TRUE(DaemonsEnd());
  }

  std::string Command(const std::string& image, const std::string& directory) const {
    return absl::StrCat("crfs mount --index ", index(), " ", image, " ", directory);
  }
};

TEST_F(RefusalTest, Mountpoints) {
  ExpectRefused(Command(image(), home() + "/missing"), home() + "/missing: no such directory");
  ExpectRefused(Command(image(), image()), "not a directory");
  ExpectRefused(Command(image(), home() + "/missing/further"), "no such directory");
}

TEST_F(RefusalTest, MountpointOfSomeoneElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be someone else";
  ExpectRefused(absl::StrCat("export CRFS; setpriv --reuid=65534 --regid=65534 --clear-groups "
                             "$CRFS mount --index /tmp ",
                             image(), " ", directory()),
                "you may not write there");
}

TEST_F(RefusalTest, ADirectoryThatIsNotEmptyIsFine) {
  std::ofstream(directory() + "/file") << "x";
  ASSERT_TRUE(Mount());
  EXPECT_TRUE(Unmount());
  EXPECT_TRUE(Succeeds(absl::StrCat("test -e ", directory(), "/file")));
}

TEST_F(RefusalTest, Images) {
  ExpectRefused(Command(home() + "/missing.crfs", directory()), "/missing.crfs: ");
  std::ofstream(home() + "/empty.crfs").flush();
  ExpectRefused(Command(home() + "/empty.crfs", directory()), "/empty.crfs: ");
  std::ofstream(home() + "/text.crfs") << "this is no image\n";
  ExpectRefused(Command(home() + "/text.crfs", directory()), "/text.crfs: ");
  ExpectRefused(Command(directory(), directory()), directory());
  EXPECT_TRUE(Succeeds(absl::StrCat("head -c 2000 ", image(), " > ", home(), "/short.crfs")));
  ExpectRefused(Command(home() + "/short.crfs", directory()), "/short.crfs: ");
  // In the foreground it says the same.
  ExpectRefused(Command("-f " + home() + "/text.crfs", directory()), "/text.crfs: ");
}

TEST_F(RefusalTest, Usage) {
  EXPECT_EQ(RunScript("crfs mount").status, 2);
  EXPECT_EQ(RunScript(absl::StrCat("crfs mount ", image())).status, 2);
  const CommandResult unknown = RunScript(Command("-o nonsense " + image(), directory()));
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("nonsense"), std::string::npos) << unknown.err;
  const CommandResult writable = RunScript(Command("-o rw " + image(), directory()));
  EXPECT_EQ(writable.status, 2);
  EXPECT_NE(writable.err.find("read-only"), std::string::npos) << writable.err;
}

TEST_F(RefusalTest, WithoutTheDevice) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a namespace without the device";
  ExpectRefused(absl::StrCat("export CRFS; unshare -m bash -c 'mount -t tmpfs none ", home(),
                             "/hidden 2>/dev/null; mkdir -p ", home(), "/hidden; ",
                             "mount -t tmpfs none ", home(), "/hidden && mount --bind ", home(),
                             "/hidden /dev && $CRFS mount --index ", index(), " ", image(), " ",
                             directory(), "'"),
                "/dev/fuse: ");
}

TEST_F(RefusalTest, WithoutFusermount) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a namespace without fusermount3";
  ExpectRefused(absl::StrCat("export CRFS; chmod 777 ", directory(),
                             "; unshare -m bash -c 'mount --bind /dev/null /usr/bin/fusermount3; "
                             "mount --bind /dev/null /bin/fusermount3 2>/dev/null; "
                             "setpriv --reuid=65534 --regid=65534 --clear-groups $CRFS mount "
                             "--index /tmp ",
                             image(), " ", directory(), "'"),
                "fusermount3: ");
}

}  // namespace
}  // namespace crfs
