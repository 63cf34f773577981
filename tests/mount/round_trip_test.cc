// SPDX-License-Identifier: Apache-2.0
//
// image -> mount -> a copy made with real tools -> image is the identity.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "index/loaded_checkpoint.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class RoundTripTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount({.tasks = 4, .memory = 2 << 20});
  }

  std::string copy() const { return home() + "/copy"; }

  // Runs a script that copies $from to $to, which is there and empty.
  testing::AssertionResult Copied(const std::string& script) {
    return Succeeds(
        absl::StrCat("from=", directory(), " to=", copy(), "; mkdir $to && { ", script, "; }"));
  }

  // Whether the tree in a directory is the image.
  testing::AssertionResult IsTheImage(const std::string& tree) {
    Problems problems;
    const auto loaded = LoadedCheckpoint::FromTree(tree, problems);
    if (!loaded.ok()) return testing::AssertionFailure() << loaded.status();
    if (!problems.empty()) return testing::AssertionFailure() << absl::StrJoin(problems, "\n");
    const absl::Status status = WriteCheckpoint(*loaded, home() + "/again.crfs");
    if (!status.ok()) return testing::AssertionFailure() << status;
    return Succeeds(absl::StrCat("cmp ", image(), " ", home(), "/again.crfs && crfs diff ", image(),
                                 " ", tree));
  }
};

TEST_F(RoundTripTest, TheMountItself) { EXPECT_TRUE(IsTheImage(directory())); }

TEST_F(RoundTripTest, Rsync) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(Copied("rsync -a $from/ $to/"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, EightRsyncsAtOnce) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(
      Copied("cd $from && find . -mindepth 2 -maxdepth 2 -print0 | "
             "xargs -0 -n 1 -P 8 sh -c 'rsync -aR \"$1\" '$to/ -"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, RsyncOfWhatLinksLeadTo) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(Copied("rsync -aL $from/ $to/"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, CpOfWhatLinksLeadTo) {
  ASSERT_TRUE(Copied("cp -rL $from/. $to/"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, Cp) {
  ASSERT_TRUE(Copied("cp -a $from/. $to/"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, Tar) {
  ASSERT_TRUE(Copied("tar -C $from -cf - . | tar -C $to -xf -"));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, OneChangedFileIsThatChange) {
  ASSERT_TRUE(Copied("cp -a $from/. $to/ && echo 0x1234 > $to/tasks/300/threads/300/regs/rip"));
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", copy()));
  EXPECT_EQ(diff.status, 1);
  EXPECT_EQ(diff.err, "");
  EXPECT_EQ(diff.out.find("tasks/300/threads/300/regs/rip: 0x"), 0u) << diff.out;
  EXPECT_EQ(diff.out.find(" -> 0x1234\n"), diff.out.size() - 11) << diff.out;
  const CommandResult mounted = RunScript(absl::StrCat("crfs diff ", directory(), " ", image()));
  EXPECT_EQ(mounted.status, 0) << mounted.err;
  EXPECT_EQ(mounted.out, "");
}

TEST_F(RoundTripTest, LeftoversAreNamedAndCountForNothing) {
  ASSERT_TRUE(Copied("cp -a $from/. $to/ && touch $to/tasks/300/.comm.aB3dE6"));
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", copy()));
  EXPECT_EQ(diff.status, 0);
  EXPECT_EQ(diff.out, "");
  EXPECT_EQ(diff.err, absl::StrCat("crfs: ", copy(), "/tasks/300/.comm.aB3dE6: is no file of a ",
                                   "tree: it is left out\n"));
}

TEST_F(RoundTripTest, AProblemIsTroubleForDiff) {
  ASSERT_TRUE(Copied("cp -a $from/. $to/ && rm $to/tasks/300/threads/300/regs/rip"));
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", copy()));
  EXPECT_EQ(diff.status, 2);
  EXPECT_EQ(diff.out, "");
  EXPECT_EQ(diff.err,
            absl::StrCat("crfs: ", copy(), "/tasks/300/threads/300/regs/rip: is missing: ",
                         "copy it again, or write it\n"));
}

}  // namespace
}  // namespace crfs
