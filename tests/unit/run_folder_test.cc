// SPDX-License-Identifier: Apache-2.0

#include "engine/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::string_view kLeast = "every 60\nkeep 3\nengine auto\n";

TEST(RunSettingsTest, ComeBackAsTheyWere) {
  const RunSettings settings = {.every = absl::Milliseconds(1500),
                                .keep = 7,
                                .engine = "ptrace",
                                .exclude = {"fd:6", "vma:/a b\nc\\d"},
                                .skip_dontdump = true};
  const std::string text = FormatSettings(settings);
  const absl::StatusOr<RunSettings> parsed = ParseSettings(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->every, settings.every);
  EXPECT_EQ(parsed->keep, 7U);
  EXPECT_EQ(parsed->engine, "ptrace");
  EXPECT_EQ(parsed->exclude, settings.exclude);
  EXPECT_TRUE(parsed->skip_dontdump);
  EXPECT_EQ(FormatSettings(*parsed), text);
}

TEST(RunSettingsTest, ASignalInPlaceOfAnInterval) {
  const absl::StatusOr<RunSettings> parsed = ParseSettings("signal SIGUSR2\nkeep 3\nengine auto\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->signal, 12U);
  EXPECT_EQ(parsed->every, absl::InfiniteDuration());
  EXPECT_EQ(FormatSettings(*parsed), "signal SIGUSR2\nkeep 3\nengine auto\n");
}

TEST(RunSettingsTest, OthersAreRefused) {
  EXPECT_TRUE(ParseSettings(kLeast).ok());
  for (const absl::string_view line : {"every 0",
                                       "every -1",
                                       "every x",
                                       "every nan",
                                       "every inf",
                                       "every 1e300",
                                       "every",
                                       "keep 0",
                                       "keep -1",
                                       "keep 3x",
                                       "engine",
                                       "engine steam",
                                       "exclude fd:",
                                       "exclude \\9",
                                       "exclude",
                                       "signal",
                                       "signal 0",
                                       "signal USR2",
                                       "signal SIGUSR2",
                                       "skip-dontdump 0",
                                       "skip-dontdump",
                                       "nonsense 1",
                                       " ",
                                       "x"}) {
    EXPECT_FALSE(ParseSettings(absl::StrCat(kLeast, line, "\n")).ok()) << line;
  }
  for (const absl::string_view text :
       {"", "keep 3\nengine auto\n", "every 1\nengine auto\n", "every 1\nkeep 3\n"}) {
    EXPECT_THAT(std::string(ParseSettings(text).status().message()), HasSubstr("is missing"));
  }
}

class RunFolderTest : public testing::Test {
 protected:
  std::string Name(const std::string& name) const { return path_ + "/" + name; }
  bool IsThere(const std::string& name) const { return ::access(Name(name).c_str(), F_OK) == 0; }
  void Put(const std::string& name) const { WriteFile(Name(name), "x"); }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "run";
};

TEST_F(RunFolderTest, IsMadeForItsOwnerAlone) {
  ASSERT_TRUE(RunFolder::Create(path_).ok());
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
  EXPECT_TRUE(RunFolder::Create(path_).ok()) << "an empty one will do";
  EXPECT_FALSE(RunFolder::Create(path_ + "/a/b").ok());
}

TEST_F(RunFolderTest, IsUsedByOneAtATime) {
  const auto folder = RunFolder::Create(path_);
  ASSERT_TRUE(folder.ok());
  EXPECT_THAT(std::string(RunFolder::Open(path_).status().message()),
              HasSubstr("another crfs run uses it"));
}

TEST_F(RunFolderTest, OfAnEarlierRunIsNotBegunAnew) {
  ASSERT_TRUE(RunFolder::Create(path_).ok());
  Put("00000001.crfs");
  EXPECT_THAT(std::string(RunFolder::Create(path_).status().message()),
              HasSubstr("crfs run --resume"));
  EXPECT_TRUE(RunFolder::Open(path_).ok());
}

TEST_F(RunFolderTest, NumbersItsImagesAndKeepsTheNewest) {
  const auto folder = RunFolder::Create(path_);
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(*folder->NextImage(), Name("00000001.crfs"));
  for (const std::string name :
       {"00000009.crfs", "00000010.crfs", "00000002.crfs", "99999999.crfs", "100000000.crfs",
        "x.crfs", "5.crfs.copy", "-7.crfs", ".crfs", "settings"}) {
    Put(name);
  }
  EXPECT_THAT(*folder->Images(),
              ElementsAre(Name("100000000.crfs"), Name("99999999.crfs"), Name("00000010.crfs"),
                          Name("00000009.crfs"), Name("00000002.crfs")));
  EXPECT_EQ(*folder->NextImage(), Name("100000001.crfs"));
  ASSERT_TRUE(folder->Prune(9).ok());
  EXPECT_EQ(folder->Images()->size(), 5U);
  ASSERT_TRUE(folder->Prune(2).ok());
  EXPECT_THAT(*folder->Images(), ElementsAre(Name("100000000.crfs"), Name("99999999.crfs")));
  for (const std::string name : {"x.crfs", "5.crfs.copy", "-7.crfs", ".crfs", "settings"}) {
    EXPECT_TRUE(IsThere(name)) << name;
  }
}

TEST_F(RunFolderTest, NumbersNoImageAsOneThatWasSetAside) {
  const auto folder = RunFolder::Create(path_);
  ASSERT_TRUE(folder.ok());
  Put("00000004.crfs");
  ASSERT_TRUE(folder->SetAside(Name("00000004.crfs")).ok());
  EXPECT_TRUE(IsThere("00000004.crfs.damaged"));
  EXPECT_THAT(*folder->Images(), IsEmpty());
  EXPECT_EQ(*folder->NextImage(), Name("00000005.crfs"));
}

TEST_F(RunFolderTest, RemovesWhatWasNotCompletedAndNothingElse) {
  ASSERT_TRUE(RunFolder::Create(path_).ok());
  for (const std::string name : {".00000003.crfs.123.0.tmp", ".settings.9.1.tmp", ".mine.tmp",
                                 ".00000003.crfs", "00000003.crfs.tmp", "00000003.crfs"}) {
    Put(name);
  }
  ASSERT_TRUE(RunFolder::Open(path_).ok());
  EXPECT_FALSE(IsThere(".00000003.crfs.123.0.tmp"));
  EXPECT_FALSE(IsThere(".settings.9.1.tmp"));
  for (const std::string name :
       {".mine.tmp", ".00000003.crfs", "00000003.crfs.tmp", "00000003.crfs"}) {
    EXPECT_TRUE(IsThere(name)) << name;
  }
}

TEST_F(RunFolderTest, KeepsItsSettings) {
  const auto folder = RunFolder::Create(path_);
  ASSERT_TRUE(folder.ok());
  EXPECT_THAT(std::string(folder->ReadSettings().status().message()), HasSubstr("settings: "));
  ASSERT_TRUE(folder->WriteSettings(*ParseSettings(kLeast)).ok());
  EXPECT_EQ(folder->ReadSettings()->every, absl::Minutes(1));
  WriteFile(Name("settings"), "every never\n");
  EXPECT_THAT(std::string(folder->ReadSettings().status().message()),
              HasSubstr("'every never' is no setting"));
}

}  // namespace
}  // namespace crfs
