// SPDX-License-Identifier: Apache-2.0
//
// Saved memory in the tree: `pages`, .views/PID/mem and .views/blob.

#include "index/memory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "crfs/schema.h"
#include "index/index.h"
#include "index/tree.h"
#include "index/tree_contents.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

constexpr uint64_t kMost = 1 << 20;

class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest() : image_(Generated({.tasks = 5, .memory = 8 << 20})), parts_(image_) {
    WriteFile(folder_ / "image", image_);
    auto index = Index::Open(folder_ / "image", {.directory = folder_ / "index"});
    EXPECT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{});
  }

  // Where the bytes of one owner's extents stand in the image's data.
  struct Saved {
    uint64_t offset;
    uint64_t length;
    uint64_t place;
  };
  std::vector<Saved> SavedOf(uint32_t type, uint64_t id) const {
    std::vector<Saved> saved;
    uint64_t place = 0;
    for (const auto& [owner, extents] : parts_.extents) {
      for (const crfs_extent& extent : extents) {
        if (owner == std::pair(type, id)) saved.push_back({extent.offset, extent.length, place});
        place += extent.length;
      }
    }
    return saved;
  }

  // Puts what was saved over `memory`, as far as the tests look.
  std::string Expand(const std::vector<Saved>& all, std::string memory) const {
    for (const Saved& saved : all) {
      if (saved.offset > kMost) break;
      memory.resize(std::max(memory.size(), saved.offset + saved.length));
      memory.replace(saved.offset, saved.length, parts_.data, saved.place, saved.length);
    }
    return memory;
  }

  std::string PagesPath(const ObjectView& object) const {
    if (object.type().name == "shmem") return absl::StrCat("objects/shmem/", object.id(), "/pages");
    return absl::StrCat("objects/mm/", object.OwnerId(), "/vmas/", object.DirectoryName(),
                        "/pages");
  }

  std::string PagemapPath(const ObjectView& object) const {
    return std::string(absl::StripSuffix(PagesPath(object), "pages")) + "pagemap";
  }

  static std::string Listed(const std::vector<Saved>& all) {
    std::string text;
    for (const Saved& saved : all) {
      absl::StrAppendFormat(&text, "%08x-%08x\n", saved.offset, saved.offset + saved.length);
    }
    return text;
  }

  // The whole file, read in small pieces.
  std::string ReadText(const std::string& path) const {
    const Inode inode = *tree_->Resolve(path);
    std::string text;
    const uint64_t size = tree_->Stat(inode)->size;
    while (text.size() < size) {
      const size_t before = text.size();
      text += ReadAll(inode, before, 1000);
      if (text.size() == before) break;
    }
    EXPECT_EQ(ReadAll(inode, size, 1), "") << path;
    return text;
  }

  std::string ReadAll(Inode inode, uint64_t offset, uint64_t length) const {
    std::string out;
    const auto contents = tree_->Read(inode, offset, length);
    EXPECT_TRUE(contents.ok()) << contents.status();
    if (!contents.ok()) return out;
    for (const Piece& piece : *contents) {
      if (piece.kind == Piece::Kind::kZeros) out.append(piece.length, '\0');
      if (piece.kind == Piece::Kind::kBytes) out += piece.bytes;
      if (piece.kind == Piece::Kind::kImage) out += image_.substr(piece.image_offset, piece.length);
    }
    return out;
  }

  TemporaryFolder folder_;
  const std::string image_;
  const Parts parts_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

TEST_F(MemoryTest, PagesHoldWhatWasSaved) {
  uint64_t files = 0;
  for (const Object& each : parts_.objects) {
    const ObjectView& object = each.view();
    const bool vma = object.type().name == "vma";
    if (!vma && object.type().name != "shmem") continue;
    const uint64_t size =
        vma ? object.Number("end") - object.Number("start") : object.Number("size");
    const std::string path = PagesPath(object);
    const Inode inode = *tree_->Resolve(path);
    const Attributes attributes = *tree_->Stat(inode);
    EXPECT_EQ(attributes.size, size) << path;
    uint64_t saved_bytes = 0;
    uint64_t hole = 0;  // where the last one begins
    for (const Saved& saved : SavedOf(object.type().tag, object.id())) {
      saved_bytes += saved.length;
      const uint64_t end = std::min(saved.offset + saved.length, size);
      EXPECT_EQ(*tree_->SeekData(inode, hole), saved.offset) << path;
      if (hole < saved.offset) {
        EXPECT_EQ(*tree_->SeekHole(inode, hole), hole) << path;
        EXPECT_EQ(ReadAll(inode, saved.offset - 1, 1), std::string(1, '\0')) << path;
      }
      EXPECT_EQ(*tree_->SeekHole(inode, saved.offset), end) << path;
      EXPECT_EQ(*tree_->SeekData(inode, end - 1), end - 1) << path;
      EXPECT_TRUE(ReadAll(inode, saved.offset, end - saved.offset) ==
                  parts_.data.substr(saved.place, end - saved.offset))
          << path;
      hole = end;
    }
    EXPECT_EQ(attributes.blocks, saved_bytes / 512) << path;
    EXPECT_TRUE(absl::IsOutOfRange(tree_->SeekData(inode, hole).status())) << path;
    EXPECT_TRUE(absl::IsOutOfRange(tree_->SeekData(inode, size).status())) << path;
    EXPECT_TRUE(absl::IsOutOfRange(tree_->SeekHole(inode, size).status())) << path;
    EXPECT_EQ(ReadAll(inode, size, 10), "") << path;
    EXPECT_EQ(ReadAll(inode, size - 1, 10).size(), 1u) << path;
    EXPECT_TRUE(IsMemory(*tree_, inode));
    EXPECT_EQ(ReadText(PagemapPath(object)), Listed(SavedOf(object.type().tag, object.id())));
    ++files;
  }
  EXPECT_GT(files, 5u);
}

TEST_F(MemoryTest, MemIsTheMemoryByAddress) {
  for (const Object& each : parts_.objects) {
    const ObjectView& task = each.view();
    if (task.type().name != "task") continue;
    const Inode mem = *tree_->Resolve(absl::StrCat(".views/", task.KeyNumber(), "/mem"));
    if (task.Number("mm") == 0) {
      EXPECT_EQ(tree_->Stat(mem)->size, 0u);
      continue;
    }
    uint64_t end = 0;
    for (const Object& other : parts_.objects) {
      const ObjectView& vma = other.view();
      if (vma.type().name != "vma" || vma.OwnerId() != task.Number("mm")) continue;
      const uint64_t start = vma.Number("start");
      end = vma.Number("end");
      const uint64_t length = std::min(end - start, kMost);
      const std::string memory = ReadAll(mem, start, length);
      // Private pages stand before those of shared memory, which goes on to the end of its
      // last page.
      std::string expected;
      if (vma.Number("shmem") != 0) {
        expected = Expand(SavedOf(CRFS_TAG_shmem, vma.Number("shmem")), expected);
        expected.erase(0, std::min<uint64_t>(vma.Number("offset"), expected.size()));
      }
      expected = Expand(SavedOf(CRFS_TAG_vma, vma.id()), expected);
      expected.resize(length);
      EXPECT_TRUE(memory == expected) << vma.DirectoryName();
    }
    EXPECT_EQ(tree_->Stat(mem)->size, end);
    EXPECT_TRUE(absl::IsOutOfRange(tree_->SeekData(mem, end).status()));
    // Before the first mapping.
    EXPECT_EQ(ReadAll(mem, 0, 16), std::string(16, '\0'));
    const auto data = tree_->SeekData(mem, 0);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_GT(*tree_->SeekHole(mem, *data), *data);
    EXPECT_GT(tree_->Stat(mem)->blocks, 0u);
  }
}

TEST_F(MemoryTest, TheBlobIsTheImage) {
  const Inode blob = *tree_->Resolve(".views/blob");
  EXPECT_EQ(tree_->Stat(blob)->size, image_.size());
  EXPECT_TRUE(*ReadContents(*tree_, *tree_->Stat(blob)) == image_);
  EXPECT_EQ(ReadAll(blob, image_.size() - 3, 10), image_.substr(image_.size() - 3));
}

TEST_F(MemoryTest, DamagedMemoryIsAnError) {
  // The last byte of data: in the last chunk.
  const Inode blob = *tree_->Resolve(".views/blob");
  const auto& [owner, extents] = *parts_.extents.begin();
  const auto first = index_->FindExtent(*FindType(owner.first), owner.second, 0);
  ASSERT_TRUE(first.ok() && first->has_value());
  const uint64_t begin = (*first)->image_offset;
  ASSERT_TRUE(image_.compare(begin, parts_.data.size(), parts_.data) == 0);
  const uint64_t place = begin + parts_.data.size() - 1;
  std::string damaged = image_;
  damaged[place] = static_cast<char>(~damaged[place]);
  // What was verified before the file changed is verified again.
  ASSERT_TRUE(tree_->Read(blob, place, 1).ok());
  WriteFile(folder_ / "image", damaged);
  const auto status = tree_->Read(blob, place, 1).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(status.message().find(folder_ / "image"), absl::string_view::npos) << status;
  EXPECT_TRUE(tree_->Read(blob, begin, 1).ok());
}

TEST_F(MemoryTest, AnImageThatShrinksIsAnError) {
  const Inode blob = *tree_->Resolve(".views/blob");
  ASSERT_TRUE(tree_->Read(blob, image_.size() - 1, 1).ok());
  WriteFile(folder_ / "image", image_.substr(0, image_.size() / 2));
  EXPECT_TRUE(absl::IsDataLoss(tree_->Read(blob, image_.size() - 1, 1).status()));
  WriteFile(folder_ / "image", "");
  EXPECT_TRUE(absl::IsDataLoss(tree_->Read(blob, 0, 1).status()));
  EXPECT_TRUE(absl::IsDataLoss(tree_->Stat(*tree_->Resolve("objects/mm/1")).ok()
                                   ? tree_->Lookup(*tree_->Resolve("objects/mm/1"), "brk").status()
                                   : absl::DataLossError("")));
}

}  // namespace
}  // namespace crfs
