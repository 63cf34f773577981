// SPDX-License-Identifier: Apache-2.0

#include "index/data_checksum.h"

#include <gtest/gtest.h>

#include <string>

namespace crfs {
namespace {

TEST(DataChecksumTest, KnownValues) {
  // XXH64 of these, seed 0: ef46db3751d8e999, d24ec4f1a98c6e5b, 44bc2cf5ad770999.
  EXPECT_EQ(DataChecksum(""), 0x51d8e999u);
  EXPECT_EQ(DataChecksum("a"), 0xa98c6e5bu);
  EXPECT_EQ(DataChecksum("abc"), 0xad770999u);
}

TEST(DataChecksumTest, ComesInPiecesOfAnySize) {
  const std::string bytes = "memory is read in pieces of any size, chunk by chunk";
  DataChecksummer checksummer;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    checksummer.Add(bytes.substr(0, cut));
    checksummer.Add(bytes.substr(cut));
    EXPECT_EQ(checksummer.Take(), DataChecksum(bytes));
  }
}

}  // namespace
}  // namespace crfs
