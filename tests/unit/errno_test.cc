// SPDX-License-Identifier: Apache-2.0

#include "fusefs/errno.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace crfs {
namespace {

TEST(ErrnoTest, DamageIsNeverAMissingFile) {
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), 0);
  EXPECT_EQ(ErrnoOf(absl::DataLossError("")), EIO);
  EXPECT_EQ(ErrnoOf(absl::InternalError("")), EIO);
  EXPECT_EQ(ErrnoOf(absl::NotFoundError("")), ENOENT);
  EXPECT_EQ(ErrnoOf(absl::OutOfRangeError("")), ENXIO);
  EXPECT_EQ(ErrnoOf(absl::UnimplementedError("")), EOPNOTSUPP);
}

TEST(ErrnoTest, MissingAttributesAreNotMissingFiles) {
  EXPECT_EQ(XattrErrnoOf(absl::NotFoundError("")), ENODATA);
  EXPECT_EQ(XattrErrnoOf(absl::DataLossError("")), EIO);
}

}  // namespace
}  // namespace crfs
