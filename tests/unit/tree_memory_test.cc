// SPDX-License-Identifier: Apache-2.0

#include "index/tree_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "index/unique_fd.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = kTreePageSize;

using Pages = std::vector<std::pair<uint64_t, uint64_t>>;

class TreeMemoryTest : public ::testing::Test {
 protected:
  void Make(uint64_t size) {
    fd_.reset(::open((folder_ / "pages").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
    size_ = size;
    ASSERT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size)), 0);
  }
  void Write(uint64_t offset, const std::string& bytes) {
    ASSERT_EQ(::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  Pages Find(const std::vector<crfs_extent>& listed, bool keep_zeros) {
    const auto found = FindPages(fd_.get(), size_, listed, keep_zeros);
    EXPECT_TRUE(found.ok()) << found.status();
    return AsPages(*found);
  }
  static Pages AsPages(const std::vector<crfs_extent>& extents) {
    Pages pages;
    for (const crfs_extent& extent : extents) {
      EXPECT_EQ(extent.offset % kPage, 0u);
      EXPECT_EQ(extent.length % kPage, 0u);
      pages.emplace_back(extent.offset / kPage, extent.length / kPage);
    }
    return pages;
  }

  TemporaryFolder folder_;
  UniqueFd fd_;
  uint64_t size_ = 0;
};

TEST_F(TreeMemoryTest, HolesAreNothing) {
  Make(1000 * kPage);
  EXPECT_EQ(Find({}, true), Pages());
  EXPECT_EQ(Find({}, false), Pages());
}

TEST_F(TreeMemoryTest, AnEmptyFileToo) {
  Make(0);
  EXPECT_EQ(Find({}, true), Pages());
}

TEST_F(TreeMemoryTest, ZerosCountOnlyIfAskedFor) {
  Make(16 * kPage);
  Write(2 * kPage, std::string(3 * kPage, '\0'));
  Write(4 * kPage + 4095, "x");
  Write(10 * kPage, "x");
  EXPECT_EQ(Find({}, true), (Pages{{2, 3}, {10, 1}}));
  EXPECT_EQ(Find({}, false), (Pages{{4, 1}, {10, 1}}));
}

TEST_F(TreeMemoryTest, WhatIsListedIsNotLookedAt) {
  Make(16 * kPage);
  Write(0, std::string(16 * kPage, 'x'));
  EXPECT_EQ(Find({{0, kPage}, {3 * kPage, 2 * kPage}, {15 * kPage, kPage}}, false),
            (Pages{{1, 2}, {5, 10}}));
  EXPECT_EQ(Find({{0, 16 * kPage}}, true), Pages());
}

TEST_F(TreeMemoryTest, TheLastPageMayBeShort) {
  Make(2 * kPage + 1);
  Write(2 * kPage, "x");
  EXPECT_EQ(Find({}, false), (Pages{{2, 1}}));
  EXPECT_EQ(Find({{2 * kPage, kPage}}, false), Pages());
}

TEST_F(TreeMemoryTest, MoreThanIsReadAtOnce) {
  Make(2000 * kPage);
  Write(0, std::string(2000 * kPage, '\0'));
  Write(255 * kPage, std::string(2 * kPage, 'x'));
  Write(1999 * kPage + 1, "x");
  EXPECT_EQ(Find({}, false), (Pages{{255, 2}, {1999, 1}}));
}

TEST_F(TreeMemoryTest, UnitedExtentsThatTouchAreOne) {
  EXPECT_EQ(AsPages(Unite({{0, kPage}, {4 * kPage, kPage}}, {{kPage, kPage}, {7 * kPage, kPage}})),
            (Pages{{0, 2}, {4, 1}, {7, 1}}));
}

TEST(IsZeroTest, SeesEveryByte) {
  std::string bytes(kPage, '\0');
  EXPECT_TRUE(IsZero(bytes));
  EXPECT_TRUE(IsZero(""));
  for (const size_t i : {size_t{0}, size_t{1}, size_t{63}, size_t{2048}, bytes.size() - 1}) {
    bytes[i] = 1;
    EXPECT_FALSE(IsZero(bytes)) << i;
    bytes[i] = 0;
  }
}

}  // namespace
}  // namespace crfs
