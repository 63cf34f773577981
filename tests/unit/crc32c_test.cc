// SPDX-License-Identifier: Apache-2.0

#include "index/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

TEST(Crc32cTest, KnownValues) {
  // RFC 3720, B.4, and the check value of the polynomial's catalogue.
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32cTest, Continues) {
  const std::string bytes = "a record is read in pieces of any size";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(Crc32c(bytes.substr(cut), Crc32c(bytes.substr(0, cut))), Crc32c(bytes));
  }
}

}  // namespace
}  // namespace crfs
