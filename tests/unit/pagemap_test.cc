// SPDX-License-Identifier: Apache-2.0

#include "index/pagemap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kPage = 4096;

TEST(PagemapTest, ALineIsARangeOfOffsets) {
  std::string text;
  AppendPagemapLine(&text, 0, kPage);
  AppendPagemapLine(&text, 0x12'3456'7000, 3 * kPage);
  EXPECT_EQ(text, "00000000-00001000\n1234567000-123456a000\n");
}

TEST(PagemapTest, WhatIsWrittenIsRead) {
  std::string text;
  for (uint64_t i = 0; i < 1000; ++i) AppendPagemapLine(&text, 3 * i * kPage, 2 * kPage);
  const auto extents = ParsePagemap(text, 2999 * kPage, kPage);
  ASSERT_TRUE(extents.ok()) << extents.status();
  ASSERT_EQ(extents->size(), 1000u);
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ((*extents)[i].offset, 3 * i * kPage);
    EXPECT_EQ((*extents)[i].length, 2 * kPage);
  }
}

TEST(PagemapTest, AnEmptyFileListsNothing) {
  EXPECT_TRUE(ParsePagemap("", 0, kPage)->empty());
  EXPECT_TRUE(ParsePagemap("", kPage, kPage)->empty());
}

TEST(PagemapTest, TheLastPageMayBeShort) {
  EXPECT_TRUE(ParsePagemap("00001000-00002000", kPage + 1, kPage).ok());
  EXPECT_FALSE(ParsePagemap("00001000-00002000", kPage, kPage).ok());
}

TEST(PagemapTest, EachMistakeIsNamedWithItsLine) {
  struct {
    const char* text;
    const char* message;
  } const cases[] = {
      {"00000000-00001000\n\n", "line 2: expected a range of offsets"},
      {"\n", "line 1: expected a range of offsets"},
      {"00000000\n", "line 1: expected a range of offsets"},
      {"0-1000\n", "line 1: expected a range of offsets"},
      {"00000000-0000g000\n", "line 1: expected a range of offsets"},
      {"00000000-00001000-00002000\n", "line 1: expected a range of offsets"},
      {"00001000-00001000\n", "line 1: 00001000-00001000 ends where it has not begun"},
      {"00000800-00001000\n", "line 1: 00000800-00001000 does not begin and end between pages"},
      {"00000000-00011000\n", "line 1: 00000000-00011000 ends beyond the memory"},
      {"00000000-ffffffffffffffff\n", "does not begin and end between pages"},
      {"00000000-fffffffffffff000\n", "ends beyond the memory"},
      {"00000000-00001000\n00001000-00002000\n", "line 2: 00001000-00002000 does not lie apart"},
      {"00002000-00003000\n00000000-00001000\n", "line 2: 00000000-00001000 does not lie apart"},
  };
  for (const auto& each : cases) {
    const auto extents = ParsePagemap(each.text, 16 * kPage, kPage);
    EXPECT_EQ(extents.status().code(), absl::StatusCode::kInvalidArgument) << each.text;
    EXPECT_THAT(std::string(extents.status().message()), HasSubstr(each.message)) << each.text;
  }
}

}  // namespace
}  // namespace crfs
