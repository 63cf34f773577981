// SPDX-License-Identifier: Apache-2.0

#include "index/keys.h"

#include <gtest/gtest.h>

namespace crfs {
namespace {

TEST(KeysTest, KeysSortByTheirNumbers) {
  EXPECT_LT(IndexKey::Record(1, 255).view(), IndexKey::Record(1, 256).view());
  EXPECT_LT(IndexKey::Record(1, UINT64_MAX).view(), IndexKey::Record(2, 0).view());
  EXPECT_LT(IndexKey::Child(0xff, 9, 1).view(), IndexKey::Child(0x100, 0, 0).view());
  EXPECT_LT(IndexKey::Extent(1, 1, UINT64_MAX).view(), IndexKey::Extent(1, 2, 0).view());
  EXPECT_EQ(LastNumber(IndexKey::Extent(1, 2, 0x123456789abcdef0).view()), 0x123456789abcdef0);
  EXPECT_EQ(IndexKey::Child(1, 2, 3).prefix(), IndexKey::Child(1, 2, 4).prefix());
  EXPECT_NE(IndexKey::Child(1, 2, 3).prefix(), IndexKey::Child(1, 3, 3).prefix());
}

TEST(KeysTest, ValuesComeBack) {
  for (const uint64_t number : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX}) {
    EXPECT_EQ(DecodeNumber(EncodeNumber(number)), number);
    const auto pair = DecodePair(EncodePair(number, 7));
    ASSERT_TRUE(pair.has_value());
    EXPECT_EQ(pair->first, number);
    EXPECT_EQ(pair->second, 7u);
  }
  IndexMeta meta{.format = 1,
                 .image_size = 2,
                 .digest = "0123456789abcdef",
                 .data_offset = 3,
                 .data_length = 4,
                 .one_owner = false,
                 .uid = 5,
                 .gid = 6,
                 .counts = {{7, 8}}};
  EXPECT_EQ(DecodeMeta(EncodeMeta(meta)), meta);
}

TEST(KeysTest, DamagedValuesAreSeen) {
  EXPECT_FALSE(DecodeNumber("").has_value());
  EXPECT_FALSE(DecodeNumber("\x80").has_value());
  EXPECT_FALSE(DecodeNumber(std::string(11, '\x80')).has_value());
  EXPECT_FALSE(DecodeNumber("ab").has_value());
  EXPECT_FALSE(DecodePair("a").has_value());
  const std::string meta = EncodeMeta({.counts = {{1, 2}}});
  for (size_t size = 0; size < meta.size(); ++size) {
    EXPECT_FALSE(DecodeMeta(meta.substr(0, size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace crfs
