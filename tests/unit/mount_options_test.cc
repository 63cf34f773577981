// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mount_options.h"

#include <gtest/gtest.h>

namespace crfs {
namespace {

TEST(MountOptionsTest, EachWordSetsItsOption) {
  MountOptions options;
  ASSERT_TRUE(ParseMountOptions("ro,views,noallow_other,noexec,index=/a/b,fsname=x,foreground",
                                OptionsFrom::kCommandLine, options)
                  .ok());
  EXPECT_TRUE(options.list_views);
  EXPECT_TRUE(options.no_exec);
  EXPECT_TRUE(options.foreground);
  EXPECT_EQ(options.allow_other, false);
  EXPECT_EQ(options.index_directory, "/a/b");
  EXPECT_EQ(options.source, "x");
  ASSERT_TRUE(ParseMountOptions("allow_other", OptionsFrom::kCommandLine, options).ok());
  EXPECT_EQ(options.allow_other, true);
  EXPECT_TRUE(options.list_views) << "what is not mentioned stays";
}

TEST(MountOptionsTest, WordsOfFstab) {
  constexpr char kWords[] =
      "defaults,rw,noauto,nofail,user=me,users,_netdev,x-systemd.automount,X-mount.mkdir,comment=a,"
      "nosuid,nodev,relatime,";
  MountOptions options;
  EXPECT_TRUE(ParseMountOptions(kWords, OptionsFrom::kFstab, options).ok());
  EXPECT_FALSE(ParseMountOptions(kWords, OptionsFrom::kCommandLine, options).ok());
  EXPECT_FALSE(ParseMountOptions("remount", OptionsFrom::kFstab, options).ok());
}

TEST(MountOptionsTest, WordsOfTreesThatCanBeChanged) {
  MountOptions options;
  ASSERT_TRUE(ParseMountOptions("writable,edits=/a", OptionsFrom::kFstab, options).ok());
  EXPECT_TRUE(options.writable);
  EXPECT_FALSE(options.is_new);
  EXPECT_EQ(options.edits_directory, "/a");
  EXPECT_TRUE(CheckMountOptions(options).ok());
  MountOptions fresh;
  ASSERT_TRUE(ParseMountOptions("rw,new", OptionsFrom::kFstab, fresh).ok());
  EXPECT_TRUE(fresh.is_new);
  EXPECT_FALSE(fresh.writable);
  EXPECT_TRUE(CheckMountOptions(fresh).ok());
  EXPECT_TRUE(CheckMountOptions(MountOptions()).ok());
}

TEST(MountOptionsTest, WordsThatDoNotGoTogether) {
  for (const char* words :
       {"writable,new", "edits=/a", "ro,writable", "ro,new", "views,writable", "views,new"}) {
    MountOptions options;
    ASSERT_TRUE(ParseMountOptions(words, OptionsFrom::kFstab, options).ok());
    EXPECT_FALSE(CheckMountOptions(options).ok()) << words;
  }
  // What would be kept of it could not be used again.
  MountOptions saved;
  saved.image = "pid:7";
  saved.writable = true;
  EXPECT_TRUE(CheckMountOptions(saved).ok());
  saved.edits_directory = "/a";
  EXPECT_FALSE(CheckMountOptions(saved).ok());
  // That of fstab says nothing of an image.
  MountOptions options;
  ASSERT_TRUE(ParseMountOptions("rw", OptionsFrom::kFstab, options).ok());
  EXPECT_FALSE(options.writable);
}

TEST(MountOptionsTest, UnknownWordsAreNamed) {
  MountOptions options;
  for (const char* word : {"nonsense", "uid=0", "viewsx", "index"}) {
    const absl::Status status = ParseMountOptions(word, OptionsFrom::kFstab, options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(word), absl::string_view::npos) << status;
  }
}

TEST(MountOptionsTest, CommasCanBeEscaped) {
  for (const char* path : {"/a,b", "/a\\b", ",", "\\", "/plain", "\\,\\"}) {
    MountOptions options;
    ASSERT_TRUE(ParseMountOptions("index=" + EscapeMountOption(path) + ",views",
                                  OptionsFrom::kCommandLine, options)
                    .ok());
    EXPECT_EQ(options.index_directory, path);
    EXPECT_TRUE(options.list_views);
  }
}

}  // namespace
}  // namespace crfs
