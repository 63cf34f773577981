// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mount_table.h"

#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

TEST(MountTableTest, FieldsOfALine) {
  const auto entry = ParseMountEntry(
      "36 35 98:0 /mnt1 /mnt\\0402\\134 rw,noatime master:1 propagate_from:2 - fuse.crfs "
      "/a\\040b.crfs ro,user_id=0");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->device, "98:0");
  EXPECT_EQ(entry->directory, "/mnt 2\\");
  EXPECT_EQ(entry->type, "fuse.crfs");
  EXPECT_EQ(entry->source, "/a b.crfs");
  EXPECT_FALSE(entry->read_only) << "it is the mount's own option that counts";
}

TEST(MountTableTest, ReadOnly) {
  for (const char* options : {"ro", "ro,nosuid"}) {
    const auto entry =
        ParseMountEntry(std::string("36 35 0:52 / /mnt ") + options + " - fuse.crfs a rw");
    ASSERT_TRUE(entry.has_value());
    EXPECT_TRUE(entry->read_only) << options;
  }
  EXPECT_FALSE(ParseMountEntry("36 35 0:52 / /mnt root - fuse.crfs a rw")->read_only);
}

TEST(MountTableTest, WithoutOptionalFields) {
  const auto entry = ParseMountEntry("22 27 0:21 / /proc rw - proc none rw");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->directory, "/proc");
  EXPECT_EQ(entry->type, "proc");
}

TEST(MountTableTest, WhatIsNoEntry) {
  for (const char* line : {"", "a", "1 2 3 4 5 6 7 8 9", "22 27 0:21 / /proc rw - proc",
                           "22 27 0:21 / /proc rw -", "     "}) {
    EXPECT_FALSE(ParseMountEntry(line).has_value()) << line;
  }
}

TEST(MountTableTest, ProcIsMounted) {
  const auto entry = FindMount("/proc");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->type, "proc");
  EXPECT_FALSE(FindMount("/proc/self").has_value());
}

TEST(MountTableTest, AbsolutePath) {
  EXPECT_EQ(AbsolutePath("/proc/../proc/"), "/proc");
  EXPECT_EQ(AbsolutePath("/no/such/directory"), "");
  EXPECT_EQ(AbsolutePath(""), "");
}

}  // namespace
}  // namespace crfs
