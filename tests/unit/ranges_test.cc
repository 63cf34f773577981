// SPDX-License-Identifier: Apache-2.0

#include "index/ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Pages, in place of bytes.
using Pages = std::vector<std::pair<uint64_t, uint64_t>>;

std::vector<crfs_extent> Extents(const Pages& pages) {
  std::vector<crfs_extent> extents;
  for (const auto& [begin, end] : pages) extents.push_back({begin << 12, (end - begin) << 12});
  return extents;
}

Pages PagesOf(const std::vector<crfs_extent>& extents) {
  Pages pages;
  for (const auto& [offset, length] : extents) {
    pages.emplace_back(offset >> 12, (offset + length) >> 12);
  }
  return pages;
}

std::string Bytes(const std::vector<uint64_t>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(uint64_t)};
}

TEST(RangesTest, ComeBackAsTheyWere) {
  for (const Pages& pages : {Pages{}, Pages{{0, 1}}, Pages{{3, 4}, {5, 900}, {901, 902}}}) {
    const auto unpacked = UnpackRanges(PackRanges(Extents(pages)));
    ASSERT_TRUE(unpacked.ok()) << unpacked.status();
    EXPECT_EQ(PagesOf(*unpacked), pages);
  }
}

TEST(RangesTest, OtherBytesAreRefused) {
  EXPECT_FALSE(UnpackRanges("x").ok());
  EXPECT_FALSE(UnpackRanges(Bytes({0})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({0, 0})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({4096, 0})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({1, 4096})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({0, 4095})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({0, UINT64_MAX})).ok());
  EXPECT_FALSE(UnpackRanges(Bytes({0, 4096, 4096, 8192})).ok()) << "they touch";
  EXPECT_FALSE(UnpackRanges(Bytes({8192, 12288, 0, 4096})).ok()) << "they descend";
  EXPECT_TRUE(UnpackRanges(Bytes({0, 4096, 8192, 12288})).ok());
}

TEST(RangesTest, AreMerged) {
  EXPECT_THAT(PagesOf(MergeRanges(Extents({{7, 9}, {1, 2}, {3, 5}, {4, 4}, {2, 3}, {8, 8}}))),
              ElementsAre(Pair(1, 5), Pair(7, 9)));
  EXPECT_THAT(PagesOf(MergeRanges(Extents({{1, 9}, {2, 3}, {9, 10}}))), ElementsAre(Pair(1, 10)));
  EXPECT_THAT(MergeRanges({}), IsEmpty());
}

TEST(RangesTest, AreTakenAway) {
  const auto subtract = [](const Pages& from, const Pages& what) {
    return PagesOf(SubtractRanges(Extents(from), Extents(what)));
  };
  EXPECT_THAT(subtract({{1, 9}}, {}), ElementsAre(Pair(1, 9)));
  EXPECT_THAT(subtract({{1, 9}}, {{0, 10}}), IsEmpty());
  EXPECT_THAT(subtract({{1, 9}}, {{1, 9}}), IsEmpty());
  EXPECT_THAT(subtract({{1, 9}}, {{0, 1}, {9, 10}}), ElementsAre(Pair(1, 9)));
  EXPECT_THAT(subtract({{1, 9}}, {{0, 2}, {4, 5}, {8, 12}}), ElementsAre(Pair(2, 4), Pair(5, 8)));
  EXPECT_THAT(subtract({{1, 3}, {5, 7}, {9, 11}}, {{2, 10}}),
              ElementsAre(Pair(1, 2), Pair(10, 11)));
}

}  // namespace
}  // namespace crfs
