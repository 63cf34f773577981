// SPDX-License-Identifier: Apache-2.0
//
// Who may see what: files keep the owners and modes that /proc gave them.

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

constexpr char kAsNobody[] = "setpriv --reuid=65534 --regid=65534 --clear-groups ";

class PermissionTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be someone else";
    Generate();
  }
};

TEST_F(PermissionTest, MemoryOfOthersIsNotReadable) {
  ASSERT_TRUE(Mount());
  const std::string readable =
      absl::StrCat("find ", directory(), " -type f ! -uid 65534 -readable 2>/dev/null | head -5");
  const CommandResult root = RunScript(readable);
  EXPECT_NE(root.out, "");
  const CommandResult nobody = RunScript(absl::StrCat(kAsNobody, readable));
  EXPECT_EQ(nobody.out.find("/pages"), std::string::npos) << nobody.out;
  EXPECT_NE(RunScript(absl::StrCat("f=$(find ", directory(),
                                   " -name pages -type f ! -uid 65534 | head -1); ",
                                   "test -n \"$f\" && ", kAsNobody, "cat $f"))
                .status,
            0);
  EXPECT_NE(RunScript(absl::StrCat(kAsNobody, "cat ", directory(), "/.views/blob")).status, 0);
}

TEST_F(PermissionTest, NoallowOtherKeepsOthersOut) {
  ASSERT_TRUE(Mount("-o noallow_other"));
  EXPECT_NE(RunScript(absl::StrCat(kAsNobody, "ls ", directory())).status, 0);
  EXPECT_TRUE(Succeeds(absl::StrCat("ls ", directory())));
}

TEST_F(PermissionTest, OrdinaryUsersMountForThemselves) {
  if (!HasProgram("fusermount3")) GTEST_SKIP();
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", home(), "/theirs && chmod 644 ", image(),
                                    " && chown 65534:65534 ", home(), "/theirs && mkdir ", home(),
                                    "/cache && chown 65534:65534 ", home(), "/cache")));
  const std::string theirs = home() + "/theirs";
  const std::string as_nobody = absl::StrCat("export CRFS; ", kAsNobody, "$CRFS ");
  ASSERT_TRUE(
      Succeeds(absl::StrCat(as_nobody, "mount --index ", home(), "/cache ", image(), " ", theirs)));
  EXPECT_TRUE(Succeeds(absl::StrCat(kAsNobody, "ls ", theirs)));
  EXPECT_NE(RunScript(absl::StrCat("ls ", theirs)).status, 0) << "not even for root";
  EXPECT_TRUE(Succeeds(absl::StrCat(as_nobody, "umount ", theirs)));
  EXPECT_FALSE(IsMounted(theirs));
  EXPECT_TRUE(DaemonsEnd());

  const CommandResult refused = RunScript(absl::StrCat(as_nobody, "mount -o allow_other --index ",
                                                       home(), "/cache ", image(), " ", theirs));
  if (RunScript("grep -qx user_allow_other /etc/fuse.conf").status != 0) {
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("user_allow_other"), std::string::npos) << refused.err;
  }
}

TEST_F(PermissionTest, OthersMountsAreNotOursToUnmount) {
  ASSERT_TRUE(Mount());
  const CommandResult refused =
      RunScript(absl::StrCat("export CRFS; ", kAsNobody, "$CRFS umount ", directory()));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("another user's mount"), std::string::npos) << refused.err;
  EXPECT_TRUE(IsMounted(directory()));
}

}  // namespace
}  // namespace crfs
