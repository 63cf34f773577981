// SPDX-License-Identifier: Apache-2.0
//
// image -> mount -> a copy made with real tools -> image is the identity.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

class RoundTripTest : public WritableTest {
 protected:
  void SetUp() override {
    WritableTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount({.tasks = 4, .memory = 2 << 20});
  }

  std::string copy() const { return home() + "/copy"; }

  // Runs a script that copies $from to $to, which is there and empty.
  testing::AssertionResult Copied(const std::string& script) {
    return Succeeds(
        absl::StrCat("from=", directory(), " to=", copy(), "; mkdir $to && { ", script, "; }"));
  }

  testing::AssertionResult CopiedToNewTree(const std::string& script) {
    return Copied(absl::StrCat("crfs mount --new $to && { ", script, "; }"));
  }
};

TEST_F(RoundTripTest, TheMountItself) { EXPECT_TRUE(IsTheImage(directory())); }

// A way to copy a tree, as a person types it.
struct Way {
  const char* name;
  const char* program;
  const char* script;
};

constexpr Way kWays[] = {
    {"Rsync", "rsync", "rsync -a $from/ $to/"},
    {"RsyncSparse", "rsync", "rsync -aS $from/ $to/"},
    {"EightRsyncsAtOnce", "rsync",
     "cd $from && find . -mindepth 2 -maxdepth 2 -print0 | xargs -0 -n 1 -P 8 sh -c 'rsync -aR "
     "\"$1\" '$to/ -"},
    {"RsyncOfWhatLinksLeadTo", "rsync", "rsync -aL $from/ $to/"},
    {"CpOfWhatLinksLeadTo", "cp", "cp -rL $from/. $to/"},
    {"Cp", "cp", "cp -a $from/. $to/"},
    {"Tar", "tar", "tar -C $from -cf - . | tar -C $to -xf -"},
};

class RoundTripWayTest : public RoundTripTest, public testing::WithParamInterface<Way> {};

TEST_P(RoundTripWayTest, ByAnOrdinaryDirectory) {
  if (!HasProgram(GetParam().program)) GTEST_SKIP();
  ASSERT_TRUE(Copied(GetParam().script));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_P(RoundTripWayTest, ByANewTree) {
  if (!HasProgram(GetParam().program)) GTEST_SKIP();
  ASSERT_TRUE(CopiedToNewTree(GetParam().script));
  EXPECT_TRUE(IsTheImage(copy()));
  // And once more, as the edits are read again.
  ASSERT_TRUE(Succeeds(absl::StrCat("crfs umount ", copy(), " && crfs mount --new ", copy())));
  EXPECT_TRUE(IsTheImage(copy()));
}

TEST_F(RoundTripTest, OutOfANewTree) {
  const std::string tree = home() + "/new";
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", tree, " && crfs mount --new ", tree, " && cp -a ",
                                    directory(), "/. ", tree, "/")));
  for (const char* script : {"cp -a $from/. $to/", "tar -C $from -cSf - . | tar -C $to -xf -"}) {
    ASSERT_TRUE(Succeeds(absl::StrCat("rm -rf ", copy(), "; mkdir ", copy(), "; from=", tree,
                                      " to=", copy(), "; ", script)));
    EXPECT_TRUE(IsTheImage(copy())) << script;
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, RoundTripWayTest, testing::ValuesIn(kWays),
                         [](const auto& way) { return std::string(way.param.name); });

// Images of other values, of every type and row.
class RoundTripSeedTest : public WritableTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(RoundTripSeedTest, ThroughANewTree) {
  GenerateAndMount({.seed = GetParam(), .tasks = 1 + GetParam() % 7});
  ASSERT_FALSE(HasFatalFailure());
  const std::string copy = home() + "/copy";
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", copy, " && crfs mount --new ", copy, " && cp -a ",
                                    directory(), "/. ", copy, "/")));
  EXPECT_TRUE(IsTheImage(copy));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoundTripSeedTest, testing::Range<uint64_t>(1, 4));

TEST_F(RoundTripTest, AWritableMountOfTheImage) {
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(IsTheImage(directory()));
  // Written over with what it says already, in each of the ways.
  ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", home(), "/ro && crfs mount --index ", index(), " ",
                                    image(), " ", home(), "/ro")));
  for (const char* script : {"cp -a $from/. $to/", "tar -C $from -cf - . | tar -C $to -xf -",
                             "cp -a --remove-destination $from/. $to/"}) {
    ASSERT_TRUE(Succeeds(absl::StrCat("from=", home(), "/ro to=", directory(), "; ", script), 120))
        << script;
    EXPECT_TRUE(IsTheImage(directory())) << script;
  }
}

TEST_F(RoundTripTest, OneChangedFileIsThatChange) {
  ASSERT_TRUE(Copied("cp -a $from/. $to/ && echo 0x1234 > $to/tasks/300/threads/300/regs/rip"));
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", copy()));
  EXPECT_EQ(diff.status, 1);
  EXPECT_EQ(diff.err, "");
  EXPECT_EQ(diff.out.find("tasks/300/threads/300/regs/rip: 0x"), 0u) << diff.out;
  EXPECT_EQ(diff.out.find(" -> 0x1234\n"), diff.out.size() - 11) << diff.out;
  EXPECT_TRUE(PrintsNothing(absl::StrCat("crfs diff ", directory(), " ", image())));
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
