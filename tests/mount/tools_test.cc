// SPDX-License-Identifier: Apache-2.0
//
// The programs that people use on trees.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class ToolsTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount({.memory = 64 << 20});
  }

  // That `copy` is the mounted tree: names, types, modes, sizes, times, links, contents.
  void ExpectSame(const std::string& copy) {
    EXPECT_TRUE(Succeeds(absl::StrCat("diff -r --no-dereference ", directory(), " ", copy)));
    // Directories are measured differently by each file system.
    const std::string list =
        "find . -mindepth 1 \\( -type d -printf '%P %m %T@ %U %G\\n' -o "
        "-printf '%P %y %m %s %T@ %l %U %G\\n' \\) | sort";
    EXPECT_TRUE(Succeeds(
        absl::StrCat("diff <(cd ", directory(), "; ", list, ") <(cd ", copy, "; ", list, ")")));
  }
};

TEST_F(ToolsTest, Ls) {
  EXPECT_TRUE(Succeeds(absl::StrCat("ls -lR ", directory())));
  EXPECT_TRUE(Succeeds(
      absl::StrCat("ls -laiZ ", directory(), "/tasks || ls -lai ", directory(), "/tasks")));
  const CommandResult views = RunScript(absl::StrCat("ls -A ", directory()));
  EXPECT_EQ(views.out.find(".views"), std::string::npos) << views.out;
  EXPECT_TRUE(Succeeds(absl::StrCat("ls ", directory(), "/.views")));
}

TEST_F(ToolsTest, FindSeesTheSameEachTime) {
  EXPECT_TRUE(
      Succeeds(absl::StrCat("cd ", directory(), " && find . -ls > ", home(), "/1 && find . -ls > ",
                            home(), "/2 && cmp ", home(), "/1 ", home(), "/2")));
  EXPECT_TRUE(Succeeds(absl::StrCat("find ", directory(), " -noleaf -type f -exec stat {} +")));
}

TEST_F(ToolsTest, CpArchive) {
  ASSERT_TRUE(Succeeds(absl::StrCat("cp -a ", directory(), " ", home(), "/copy")));
  ExpectSame(home() + "/copy");
}

TEST_F(ToolsTest, Tar) {
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", home(), "/copy && tar -C ", directory(),
                                    " --format=posix -cf - . | tar -C ", home(), "/copy -xpf -")));
  ExpectSame(home() + "/copy");
}

TEST_F(ToolsTest, SparseTar) {
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", home(), "/copy && tar -S -C ", directory(),
                                    " --format=posix -cf - . | tar -C ", home(), "/copy -xpf -")));
  ExpectSame(home() + "/copy");
}

TEST_F(ToolsTest, Rsync) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(Succeeds(absl::StrCat("rsync -aS ", directory(), "/ ", home(), "/copy/")));
  ExpectSame(home() + "/copy");
  // Again, now with nothing to do.
  EXPECT_TRUE(PrintsNothing(
      absl::StrCat("rsync -aS --itemize-changes ", directory(), "/ ", home(), "/copy/")));
}

TEST_F(ToolsTest, EightRsyncsAtOnce) {
  if (!HasProgram("rsync")) GTEST_SKIP();
  ASSERT_TRUE(Succeeds(
      absl::StrCat("cd ", directory(), " && mkdir ", home(),
                   "/copy && { find . -mindepth 2 -maxdepth 2 -print0 | xargs -0 -n 1 -P 8 "
                   "sh -c 'rsync -aSR \"$0\" ",
                   home(), "/copy/'; }")));
  EXPECT_TRUE(
      Succeeds(absl::StrCat("diff -r --no-dereference ", directory(), " ", home(), "/copy")));
}

TEST_F(ToolsTest, DdFromTheMiddle) {
  EXPECT_TRUE(Succeeds(absl::StrCat(
      "cd ", directory(),
      "; f=$(find . -type f -name pages -size +100k | head -1); test -n \"$f\"; ", "cat $f > ",
      home(), "/whole; for skip in 0 1 4095 4096 65537; do ",
      "cmp <(dd if=$f iflag=skip_bytes,count_bytes skip=$skip count=9000 status=none) ",
      "<(tail -c +$((skip + 1)) ", home(), "/whole | head -c 9000) || exit 1; done")));
}

TEST_F(ToolsTest, SparseCopiesHaveTheSameHoles) {
  EXPECT_TRUE(Succeeds(
      absl::StrCat("cd ", directory(), "; set -e; for f in $(find . -type f -name pages); do ",
                   "cp --sparse=auto $f ", home(), "/copy; cmp $f ", home(), "/copy; done")));
}

TEST_F(ToolsTest, Xxd) {
  if (!HasProgram("xxd")) GTEST_SKIP();
  EXPECT_TRUE(
      Succeeds(absl::StrCat("xxd -l 64 $(find ", directory(), " -name pages -type f | head -1)")));
}

TEST_F(ToolsTest, Getfattr) {
  if (!HasProgram("getfattr")) GTEST_SKIP();
  EXPECT_TRUE(Succeeds(
      absl::StrCat("getfattr -d ", directory(), "/tasks/*/comm | grep -q '^user.crfs.doc='")));
}

TEST_F(ToolsTest, TheBlobIsTheImage) {
  EXPECT_TRUE(Succeeds(absl::StrCat("cmp ", image(), " ", directory(), "/.views/blob")));
}

TEST_F(ToolsTest, MountsShowTheirTypeAndSource) {
  const CommandResult shown =
      RunScript(absl::StrCat("findmnt -n -o FSTYPE,SOURCE,OPTIONS ", directory()));
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ(shown.out.rfind(absl::StrCat("fuse.crfs ", image(), " ro,"), 0), 0u) << shown.out;
}

}  // namespace
}  // namespace crfs
