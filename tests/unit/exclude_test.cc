// SPDX-License-Identifier: Apache-2.0
//
// What is left out of a snapshot, and the marks of programs that mean no good.

#include "engine/exclude.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/exclude.h"
#include "crfs/schema.h"
#include "engine/unsupported.h"
#include "index/ranges.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kBase =
    0x10000;  // of the table of marks, and of the file that stands for memory

// A task, pid 7, with the descriptors 3 and 4 (one file) and 5, and the mappings below.
class ExcludeTest : public testing::Test {
 protected:
  void SetUp() override {
    Add(ObjectBuilder(*FindType("shmem")).SetNumber("size", 65536).SetBytes("name", "/dev/zero"));
    Add(ObjectBuilder(*FindType("file")).SetNumber("kind", CRFS_file_kind_socket));
    Add(ObjectBuilder(*FindType("file"))
            .SetNumber("kind", CRFS_file_kind_regular)
            .SetNumber("size", 0x1800)
            .SetBytes("path", "/lib/a"));
    Add(ObjectBuilder(*FindType("mm")));
    AddVma(kBase, kBase + CRFS_EXCLUDE_SIZE, CRFS_vma_kind_anon, "rw-p");
    AddVma(0x100000, 0x105000, CRFS_vma_kind_heap, "rw-p");
    AddVma(0x200000, 0x203000, CRFS_vma_kind_file, "rw-p").SetNumber("file", 2);
    AddVma(0x300000, 0x303000, CRFS_vma_kind_file, "r-xp").SetNumber("file", 2);
    AddVma(0x400000, 0x403000, CRFS_vma_kind_shmem, "rw-s").SetNumber("shmem", 1);
    AddVma(0x500000, 0x503000, CRFS_vma_kind_anon, "---p")
        .SetNumber("flags", uint64_t{1} << CRFS_vma_flags_dd);
    for (const ObjectBuilder& vma : vmas_) Add(vma);
    Add(ObjectBuilder(*FindType("fdtable")));
    for (const uint64_t fd : {3, 4, 5}) {
      Add(ObjectBuilder(*FindType("fd"))
              .SetNumber("fdtable", 1)
              .SetNumber("fd", fd)
              .SetNumber("file", fd == 5 ? 2 : 1));
    }
    Add(ObjectBuilder(*FindType("task")).SetNumber("pid", 7).SetNumber("mm", 1).SetNumber("fd", 1));
    for (const uint64_t id : {2, 3, 6}) {
      snapshot_.extents().push_back({CRFS_TAG_vma, id, {0, id == 2 ? 0x5000U : 0x3000U}});
    }
    memory_.reset(::memfd_create("memory", 0));
    ASSERT_EQ(::ftruncate(memory_.get(), kBase + 65536), 0);
  }

  void Add(const ObjectBuilder& object) { ASSERT_TRUE(snapshot_.Add(object).ok()); }
  ObjectBuilder& AddVma(uint64_t start, uint64_t end, uint64_t kind, absl::string_view prot) {
    vmas_.push_back(ObjectBuilder(*FindType("vma"))
                        .SetNumber("mm", 1)
                        .SetNumber("start", start)
                        .SetNumber("end", end)
                        .SetNumber("kind", kind)
                        .SetNumber("prot", (prot[0] == 'r' ? 1U : 0U) | (prot[1] == 'w' ? 2U : 0U) |
                                               (prot[2] == 'x' ? 4U : 0U) |
                                               (prot[3] == 's' ? 8U : 0U)));
    return vmas_.back();
  }

  absl::Status Run() {
    return Exclude(
        exclusions_,
        [&](uint32_t type, uint64_t id) -> absl::StatusOr<UniqueFd> {
          EXPECT_EQ(type, CRFS_TAG_mm);
          EXPECT_EQ(id, 1U);
          return UniqueFd(::dup(memory_.get()));
        },
        snapshot_);
  }
  absl::Status Run(absl::string_view word) {
    exclusions_.named = {*ParseExclusion(word)};
    return Run();
  }

  // The table of marks in the memory of the task.
  void Mark(const std::vector<crfs_exclude_mark>& marks, uint64_t version = CRFS_EXCLUDE_VERSION,
            const char* magic = CRFS_EXCLUDE_MAGIC, int place = 0) {
    crfs_exclude_table table = {};
    std::memcpy(table.magic, magic, sizeof(table.magic));
    table.version = version;
    std::copy(marks.begin(), marks.end(), table.marks);
    ASSERT_EQ(::pwrite(memory_.get(), &table, sizeof(table), kBase + place * CRFS_EXCLUDE_SIZE),
              static_cast<ssize_t>(sizeof(table)));
  }

  // What is excluded: `FD`, and `ID: START-END ...` of mappings.
  std::vector<std::string> Found() const {
    std::vector<std::string> found;
    snapshot_.ForEach("fd", [&](const ObjectView& fd) {
      if (fd.Number("excluded") != 0) found.push_back(absl::StrCat("fd ", fd.Number("fd")));
    });
    snapshot_.ForEach("vma", [&](const ObjectView& vma) {
      const auto ranges = UnpackRanges(vma.Bytes("excluded"));
      ASSERT_TRUE(ranges.ok()) << ranges.status();
      for (const auto& [offset, length] : *ranges) {
        found.push_back(absl::StrCat("vma ", vma.id(), " ", absl::Hex(offset), "-",
                                     absl::Hex(offset + length)));
      }
    });
    return found;
  }
  std::vector<std::string> Saved() const {
    std::vector<std::string> saved;
    for (const OwnedExtent& owned : snapshot_.extents()) {
      saved.push_back(absl::StrCat(owned.owner_id, " ", absl::Hex(owned.extent.offset), "-",
                                   absl::Hex(owned.extent.offset + owned.extent.length)));
    }
    return saved;
  }

  Snapshot snapshot_;
  Exclusions exclusions_;
  UniqueFd memory_;

 private:
  std::vector<ObjectBuilder> vmas_ = Reserved();
  static std::vector<ObjectBuilder> Reserved() {
    std::vector<ObjectBuilder> vmas;
    vmas.reserve(16);  // references to them stay
    return vmas;
  }
};

TEST_F(ExcludeTest, NothingUnlessSomebodySaysSo) {
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_THAT(Saved(), ElementsAre("2 0-5000", "3 0-3000", "6 0-3000"));
}

TEST_F(ExcludeTest, ADescriptorIsNoObstacleAnyMore) {
  EXPECT_EQ(FindUnsupported(snapshot_)->size(), 2U);
  EXPECT_EQ(Run("fd:3"), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("fd 3"));
  EXPECT_THAT(*FindUnsupported(snapshot_), ElementsAre(HasSubstr("objects/fdtable/1/4: ")))
      << "that shares its file";
  EXPECT_EQ(Run("7:fd:4"), absl::OkStatus());
  EXPECT_THAT(*FindUnsupported(snapshot_), IsEmpty());
}

TEST_F(ExcludeTest, WhatFindsNothingIsAnError) {
  for (const absl::string_view word :
       {"fd:6", "8:fd:3", "vma:[heap]x", "8:vma:[heap]", "600000-700000"}) {
    const absl::Status status = Run(word);
    EXPECT_TRUE(absl::IsNotFound(status)) << word;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("--exclude ", word, ": there is no such")));
  }
  for (const absl::string_view word : {"300000-303000", "400000-403000", "vma:/dev/zero"}) {
    EXPECT_THAT(std::string(Run(word).message()), HasSubstr("cannot be left out")) << word;
  }
}

TEST_F(ExcludeTest, MemoryByName) {
  EXPECT_EQ(Run("vma:[heap]"), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("vma 2 0-5000"));
  EXPECT_THAT(Saved(), ElementsAre("3 0-3000", "6 0-3000"));
}

// The text of a library stays, and so does what lies beyond the end of the file.
TEST_F(ExcludeTest, OfAFileWhatIsWritten) {
  EXPECT_EQ(Run("vma:/lib/a"), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("vma 3 0-2000"));
  EXPECT_THAT(Saved(), ElementsAre("2 0-5000", "3 2000-3000", "6 0-3000"));
}

TEST_F(ExcludeTest, MemoryByAddress) {
  EXPECT_EQ(Run("101000-201000"), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("vma 2 1000-5000", "vma 3 0-1000"));
  EXPECT_THAT(Saved(), ElementsAre("2 0-1000", "3 1000-3000", "6 0-3000"));
}

TEST_F(ExcludeTest, MemoryThatIsNotForCoreFiles) {
  exclusions_.dontdump = true;
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("vma 6 0-3000"));
}

TEST_F(ExcludeTest, MarksOfTheProgram) {
  Mark({{CRFS_EXCLUDE_MEMORY, 0x100800, 0x2000},
        {CRFS_EXCLUDE_FREE, 0x100000, 0x5000},
        {CRFS_EXCLUDE_FD, 5, 0},
        {CRFS_EXCLUDE_MEMORY, 0x102000, 0x1fff}});
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("fd 5", "vma 2 1000-3000"));
  EXPECT_THAT(Saved(), ElementsAre("2 0-1000", "2 3000-5000", "3 0-3000", "6 0-3000"));
}

TEST_F(ExcludeTest, MarksThatMeanNothingCountForNothing) {
  Mark({{CRFS_EXCLUDE_MEMORY, 0x100000, UINT64_MAX},
        {CRFS_EXCLUDE_MEMORY, UINT64_MAX, 0},
        {CRFS_EXCLUDE_MEMORY, UINT64_MAX - 100, 100},
        {CRFS_EXCLUDE_MEMORY, 0x100001, 4096},
        {CRFS_EXCLUDE_MEMORY, 0x300000, 0x3000},
        {CRFS_EXCLUDE_MEMORY, 0x400000, 0x3000},
        {CRFS_EXCLUDE_MEMORY, 0xffff'8000'0000'0000, 0x3000},
        {CRFS_EXCLUDE_FD, UINT64_MAX, 0},
        {CRFS_EXCLUDE_FD, (uint64_t{1} << 32) + 3, 0},
        {CRFS_EXCLUDE_TAKEN, 3, 4096},
        {UINT64_MAX, 3, 4096}});
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(ExcludeTest, AllMarksOfAFullTableCount) {
  std::vector<crfs_exclude_mark> marks(CRFS_EXCLUDE_MARKS);
  marks.back() = {CRFS_EXCLUDE_FD, 3, 0};
  Mark(marks);
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), ElementsAre("fd 3"));
}

TEST_F(ExcludeTest, WhatOnlyLooksLikeOneIsNoTable) {
  Mark({{CRFS_EXCLUDE_FD, 3, 0}}, 1, "\211crfs-exclude\r ");
  EXPECT_EQ(Run(), absl::OkStatus());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(ExcludeTest, MoreTablesThanTheLibraryMakesAreAnError) {
  const ObjectType& type = *FindType("vma");
  for (uint64_t i = 1; i <= CRFS_EXCLUDE_TABLES; ++i) {
    const uint64_t start = kBase + i * CRFS_EXCLUDE_SIZE;
    Add(ObjectBuilder(type)
            .SetNumber("mm", 1)
            .SetNumber("start", start)
            .SetNumber("end", start + CRFS_EXCLUDE_SIZE)
            .SetNumber("kind", CRFS_vma_kind_anon)
            .SetNumber("prot", 3));
  }
  ASSERT_EQ(::ftruncate(memory_.get(), kBase + (CRFS_EXCLUDE_TABLES + 1) * CRFS_EXCLUDE_SIZE), 0);
  EXPECT_EQ(Run(), absl::OkStatus());
  for (int i = 0; i <= CRFS_EXCLUDE_TABLES; ++i) {
    Mark({{CRFS_EXCLUDE_MEMORY, 0, UINT64_MAX}, {CRFS_EXCLUDE_FD, 3, 0}}, CRFS_EXCLUDE_VERSION,
         CRFS_EXCLUDE_MAGIC, i);
  }
  EXPECT_THAT(std::string(Run().message()), HasSubstr("is one of more than 64 tables"));
}

TEST_F(ExcludeTest, MarksOfANewerVersionAreAnError) {
  Mark({{CRFS_EXCLUDE_FD, 3, 0}}, 2);
  EXPECT_THAT(std::string(Run().message()), HasSubstr("use a newer crfs"));
}

TEST_F(ExcludeTest, MarksThatCannotBeReadAreAnError) {
  Mark({{CRFS_EXCLUDE_FD, 3, 0}});
  ASSERT_EQ(::ftruncate(memory_.get(), kBase + 4096), 0);
  EXPECT_THAT(std::string(Run().message()), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace crfs
