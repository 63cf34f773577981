// SPDX-License-Identifier: Apache-2.0
//
// Memory of a mounted tree that is read from the image behind it: whatever was changed, the
// bytes are those that the mount shows.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

using Place = LoadedExtent::Place;

std::string BytesOf(int fd, const LoadedExtent& extent) {
  std::string bytes(extent.length, '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(extent.file_offset + done));
    if (got <= 0) break;  // beyond the end there are zeros
    done += static_cast<size_t>(got);
  }
  return bytes;
}

class ImagePlaceTest : public WritableTest {
 protected:
  static constexpr GenerateOptions kOptions = {.tasks = 2, .memory = 8 << 20};

  // How much of the tree's memory comes from the image, bytes; all of it is compared with what
  // the mount shows.
  uint64_t FromImage() {
    Problems problems;
    auto tree = LoadedCheckpoint::FromTree(directory(), problems);
    EXPECT_TRUE(tree.ok()) << tree.status();
    for (const std::string& problem : problems) ADD_FAILURE() << problem;
    if (!tree.ok() || !problems.empty()) return 0;
    uint64_t from_image = 0;
    for (const char* type : {"vma", "shmem"}) {
      for (const uint64_t id : tree->Ids(type)) {
        from_image += Compare(*tree, tree->Get(type, id));
      }
    }
    const absl::Status verified = tree->VerifyMemory();
    EXPECT_TRUE(verified.ok()) << verified;
    return from_image;
  }

  static uint64_t Compare(const LoadedCheckpoint& tree, const ObjectView& owner) {
    const auto shown = tree.Memory(owner);
    const auto found = tree.UnverifiedMemory(owner);
    EXPECT_TRUE(shown.ok() && found.ok()) << tree.Where(owner);
    if (!shown.ok() || !found.ok()) return 0;
    std::string as_shown, as_found;
    uint64_t from_image = 0;
    for (const LoadedExtent& extent : shown->extents) as_shown += BytesOf(shown->fd, extent);
    for (const LoadedExtent& extent : found->extents) {
      const bool in_image = extent.place == Place::kImage;
      as_found += BytesOf(in_image ? found->image_fd : found->fd, extent);
      if (in_image) from_image += extent.length;
    }
    EXPECT_TRUE(as_shown == as_found) << tree.Where(owner);
    return from_image;
  }

  // The `pages` of which the most is saved.
  std::string Largest() const {
    const CommandResult found = RunScript(
        absl::StrCat("cd ", directory(),
                     "; find objects/mm -name pages -printf '%b %p\\n' | sort -n | tail -1"));
    return At(
        found.out.substr(found.out.find(' ') + 1, found.out.find('\n') - found.out.find(' ') - 1));
  }
};

TEST_F(ImagePlaceTest, OfATreeThatCannotBeWrittenItIsAll) {
  GenerateAndMount(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_GT(FromImage(), uint64_t{4} << 20);
  // It is of use here alone: no copy gets it.
  EXPECT_FALSE(absl::StrContains(RunScript("getfattr -m - " + Largest()).out, "user.crfs.image"));
  EXPECT_TRUE(absl::StrContains(Xattr(Largest(), "user.crfs.image"), image()));
  EXPECT_EQ(Xattr(At("tasks"), "user.crfs.image"), Xattr(At("tasks"), "user.crfs.none"));
}

TEST_F(ImagePlaceTest, WhatWasChangedComesFromTheTree) {
  GenerateAndMountWritable(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  const uint64_t all = FromImage();
  ASSERT_GT(all, uint64_t{4} << 20);
  const std::string pages = Largest();
  {
    const UniqueFd fd(::open(pages.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::pwrite(fd.get(), "changed", 7, 20 * 4096 + 4000), 7);  // a page's end
    ASSERT_EQ(::pwrite(fd.get(), "changed, too", 12, 31 * 4096 - 5), 12);
    ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50 * 4096, 8192),
              0);
  }
  const uint64_t rest = FromImage();
  EXPECT_LT(rest, all);
  EXPECT_GT(rest, all - 16 * 4096);
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_EQ(FromImage(), rest);
}

// An image of an edited tree is that of its copy, which no image stands behind, wherever the
// memory has moved to.
TEST_F(ImagePlaceTest, AnImageOfItIsThatOfItsCopy) {
  GenerateAndMountWritable(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  const auto commit_both = [&] {
    return Succeeds(absl::StrCat(
        "cd ", home(), "; rm -rf copy a b; rsync -aS mnt/ copy/ && crfs commit mnt -o a && ",
        "crfs commit copy -o b && cmp a b && crfs verify a"));
  };
  EXPECT_TRUE(commit_both());
  EXPECT_TRUE(Succeeds(absl::StrCat("cmp ", home(), "/a ", image())));
  const std::string pages = Largest();
  ASSERT_TRUE(Succeeds(absl::StrCat("printf changed | dd of=", pages,
                                    " bs=1 seek=3000000 conv=notrunc status=none")));
  EXPECT_TRUE(commit_both());
  EXPECT_FALSE(Succeeds(absl::StrCat("cmp -s ", home(), "/a ", image())));
  // What comes after moves by a page.
  ASSERT_TRUE(Succeeds(absl::StrCat("fallocate -p -o 1048576 -l 4096 ", pages)));
  EXPECT_TRUE(commit_both());
  ASSERT_TRUE(Succeeds(absl::StrCat("rm ", pages, "; : > ", pages, "map; true")));
  EXPECT_TRUE(commit_both());
}

TEST_F(ImagePlaceTest, WhatWasReplacedComesFromTheTree) {
  GenerateAndMountWritable(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  const uint64_t all = FromImage();
  const std::string pages = Largest();
  ASSERT_TRUE(Succeeds(absl::StrCat(
      "cp --sparse=always ", pages, " ", home(), "/copy && ", "printf x | dd of=", home(),
      "/copy bs=1 seek=9000 conv=notrunc status=none && ", "rsync --inplace -S ", home(), "/copy ",
      pages, " && ", "mv ", home(), "/copy ", pages, ".new && mv ", pages, ".new ", pages)));
  EXPECT_LT(FromImage(), all);
}

TEST_F(ImagePlaceTest, AnImageElsewhereIsFoundAndAnotherIsNot) {
  GenerateAndMount(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  const uint64_t all = FromImage();
  std::filesystem::rename(image(), home() + "/moved.crfs");
  EXPECT_EQ(FromImage(), all);
  // The same bytes in another file might as well be others.
  std::filesystem::copy_file(home() + "/moved.crfs", home() + "/copy.crfs");
  std::filesystem::rename(home() + "/copy.crfs", home() + "/moved.crfs");
  EXPECT_EQ(FromImage(), 0u);
}

TEST_F(ImagePlaceTest, DamageIsFound) {
  GenerateAndMount(kOptions);
  ASSERT_FALSE(HasFatalFailure());
  Problems problems;
  auto tree = LoadedCheckpoint::FromTree(directory(), problems);
  ASSERT_TRUE(tree.ok() && problems.empty());
  const uint64_t size = std::filesystem::file_size(image());
  const UniqueFd fd(::open(image().c_str(), O_RDWR | O_CLOEXEC));
  const auto flip = [&] {
    char byte;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, static_cast<off_t>(size / 2)), 1);
    byte = static_cast<char>(~byte);
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(size / 2)), 1);
  };
  flip();
  const absl::Status damaged = tree->VerifyMemory();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_TRUE(absl::StrContains(damaged.message(), image() + ": at byte ")) << damaged;
  flip();
  EXPECT_TRUE(tree->VerifyMemory().ok());
}

}  // namespace
}  // namespace crfs
