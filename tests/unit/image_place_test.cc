// SPDX-License-Identifier: Apache-2.0

#include "index/image_place.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "index/tree_memory.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

TEST(ImagePlaceTest, WhatTheAttributeSaysIsRead) {
  const UniqueFd fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const std::vector<crfs_extent> changed = {{kPage, kPage}, {5 * kPage, 3 * kPage}};
  const auto text = ImageXattr(fd.get(), 42, changed);
  ASSERT_TRUE(text.has_value());
  const auto place = ParseImageXattr(*text);
  ASSERT_TRUE(place.has_value()) << *text;
  EXPECT_EQ(place->id, 42u);
  EXPECT_EQ(::access(place->path.c_str(), R_OK), 0) << place->path;
  const UniqueFd again(::open(place->path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(place->state, StateOfFile(again.get()));
  ASSERT_EQ(place->changed.size(), 2u);
  EXPECT_EQ(place->changed[1].offset, 5 * kPage);
  EXPECT_EQ(place->changed[1].length, 3 * kPage);
}

TEST(ImagePlaceTest, WhatHasNoPathOrTooManyChangesHasNoAttribute) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read(ends[0]);
  const UniqueFd write(ends[1]);
  EXPECT_FALSE(ImageXattr(read.get(), 1, {}).has_value());
  const UniqueFd fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::vector<crfs_extent> changed;
  for (uint64_t i = 0; i < 10'000; ++i) changed.push_back({2 * i * kPage, kPage});
  EXPECT_FALSE(ImageXattr(fd.get(), 1, changed).has_value());
}

TEST(ImagePlaceTest, OtherTextIsNone) {
  for (const char* text :
       {"", "\n", "1:2:3:4.5 7", "1:2:3:4.5 x /image\n", "1:2:3:4.5 7 /image\n1-2\n"}) {
    EXPECT_FALSE(ParseImageXattr(text).has_value()) << text;
  }
}

// Some pages of `pages`, as extents.
std::vector<crfs_extent> SomePages(std::minstd_rand& random, uint64_t pages) {
  std::vector<crfs_extent> extents;
  for (uint64_t page = 0; page < pages; ++page) {
    if (random() % 3 == 0) AddPages(extents, page * kPage, kPage);
  }
  return extents;
}

bool Holds(const std::vector<crfs_extent>& extents, uint64_t offset) {
  for (const crfs_extent& extent : extents) {
    if (offset >= extent.offset && offset - extent.offset < extent.length) return true;
  }
  return false;
}

// Page by page: each is there once, in its place.
TEST(ImagePlaceTest, EveryPageIsInOnePlace) {
  constexpr uint64_t kPages = 60;
  constexpr uint64_t kData = 1 << 20;  // where the image has it
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::minstd_rand random(seed);
    const std::vector<crfs_extent> saved = SomePages(random, kPages);
    const std::vector<crfs_extent> imaged = SomePages(random, kPages);
    const std::vector<crfs_extent> changed = SomePages(random, kPages);
    std::vector<LoadedExtent> extents, in_image;
    for (const crfs_extent& extent : saved) {
      extents.push_back({extent.offset, extent.length, extent.offset});
    }
    for (const crfs_extent& extent : imaged) {
      in_image.push_back({extent.offset, extent.length, kData + 2 * extent.offset});
    }
    std::vector<crfs_extent> seen;
    for (const LoadedExtent& part : PartByPlace(extents, in_image, changed)) {
      AddPages(seen, part.offset, part.length);
      for (uint64_t i = 0; i < part.length; i += kPage) {
        const uint64_t offset = part.offset + i;
        const bool from_image = Holds(imaged, offset) && !Holds(changed, offset);
        ASSERT_EQ(part.place == LoadedExtent::Place::kImage, from_image) << seed << " " << offset;
        uint64_t expected = offset;
        for (const crfs_extent& extent : imaged) {
          if (from_image && Holds({extent}, offset)) {
            expected = kData + 2 * extent.offset + (offset - extent.offset);
          }
        }
        ASSERT_EQ(part.file_offset + i, expected) << seed << " " << offset;
      }
    }
    ASSERT_EQ(seen.size(), saved.size()) << seed;
    for (size_t i = 0; i < seen.size(); ++i) {
      ASSERT_EQ(seen[i].offset, saved[i].offset);
      ASSERT_EQ(seen[i].length, saved[i].length);
    }
  }
}

}  // namespace
}  // namespace crfs
