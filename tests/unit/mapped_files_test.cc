// SPDX-License-Identifier: Apache-2.0

#include "engine/mapped_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "crfs/words.h"

namespace crfs {
namespace {

constexpr uint64_t kReadPrivate = 1, kReadShared = 9;

// One task with one table of descriptors and one address space; each Add returns the id.
class MappedFiles : public testing::Test {
 protected:
  void SetUp() override {
    Add(ObjectBuilder(*FindType("mm")));
    Add(ObjectBuilder(*FindType("fdtable")));
    Add(ObjectBuilder(*FindType("task")).SetNumber("mm", 1).SetNumber("fd", 1));
  }

  uint64_t Add(const ObjectBuilder& object) {
    const absl::StatusOr<uint64_t> id = snapshot_.Add(object);
    EXPECT_TRUE(id.ok()) << id.status();
    return id.value_or(0);
  }

  static ObjectBuilder File(absl::string_view path, uint64_t flags, uint64_t inode) {
    ObjectBuilder file(*FindType("file"));
    file.SetNumber("kind", CRFS_file_kind_regular)
        .SetBytes("path", path)
        .SetNumber("flags", flags)
        .SetNumber("pos", 100 + inode)
        .SetNumber("inode", inode);
    return file;
  }

  uint64_t Map(uint64_t file, uint64_t mm = 1, uint64_t prot = kReadShared) {
    page_ += 4096;
    return Add(ObjectBuilder(*FindType("vma"))
                   .SetNumber("mm", mm)
                   .SetNumber("start", page_)
                   .SetNumber("end", page_ + 4096)
                   .SetNumber("prot", prot)
                   .SetNumber("file", file));
  }

  uint64_t Open(uint64_t file, uint64_t table = 1) {
    return Add(ObjectBuilder(*FindType("fd"))
                   .SetNumber("fdtable", table)
                   .SetNumber("fd", ++fd_)
                   .SetNumber("file", file));
  }

  void SetProgram(uint64_t file) {
    ASSERT_TRUE(snapshot_.Replace(1, ObjectBuilder(*FindType("mm")).SetNumber("exe", file)).ok());
  }

  void Unify() { ASSERT_TRUE(UnifyMappedFiles(snapshot_).ok()); }
  uint64_t Count() const { return snapshot_.Count(*FindType("file")); }
  uint64_t FileOfVma(uint64_t vma) const { return snapshot_.Get("vma", vma).Number("file"); }
  uint64_t FileOfFd(uint64_t fd) const { return snapshot_.Get("fd", fd).Number("file"); }

  Snapshot snapshot_;
  uint64_t page_ = 0;
  uint64_t fd_ = 2;
};

// An overlay has a file of its own behind each that is mapped.
TEST_F(MappedFiles, AreOneWithTheProgram) {
  SetProgram(Add(File("/bin/cat", kLargeFile, 7)));
  const uint64_t text = Map(Add(File("/bin/cat", kLargeFile | O_NOATIME, 8)));
  const uint64_t library = Map(Add(File("/lib/libc.so", kLargeFile | O_NOATIME, 9)));
  Unify();
  EXPECT_EQ(snapshot_.Get("mm", 1).Number("exe"), 1U);
  EXPECT_EQ(FileOfVma(text), 1U);
  EXPECT_EQ(FileOfVma(library), 2U);
  ASSERT_EQ(Count(), 2U);
  EXPECT_EQ(snapshot_.Get("file", 1).Number("inode"), 8U);
  EXPECT_EQ(snapshot_.Get("file", 2).Number("flags"), kLargeFile);
  EXPECT_EQ(snapshot_.Get("file", 2).Number("pos"), 0U);
}

TEST_F(MappedFiles, AreTheFirstDescriptorsOfTheTask) {
  const uint64_t mapped = Add(File("/data", O_RDWR, 1));
  const uint64_t other = Add(File("/other", O_RDWR, 2));
  const uint64_t first = Add(File("/data", O_RDWR | O_APPEND, 1));
  const uint64_t second = Add(File("/data", O_RDWR, 1));
  const uint64_t reader = Add(File("/data", O_RDONLY, 1));
  const uint64_t vma = Map(mapped), of_second = Map(second), read = Map(reader);
  const uint64_t fds[] = {Open(other), Open(first), Open(second)};
  Unify();
  ASSERT_EQ(Count(), 4U);
  EXPECT_EQ(FileOfVma(vma), 1U);  // by the order of first encounter
  EXPECT_EQ(FileOfVma(of_second), 1U);
  EXPECT_EQ(FileOfVma(read), 2U);  // in another access mode
  EXPECT_EQ(FileOfFd(fds[0]), 3U);
  EXPECT_EQ(FileOfFd(fds[1]), 1U);
  EXPECT_EQ(FileOfFd(fds[2]), 4U);
  EXPECT_EQ(snapshot_.Get("file", 1).Number("flags"), static_cast<uint64_t>(O_RDWR | O_APPEND));
  EXPECT_EQ(snapshot_.Get("file", 1).Number("pos"), 101U);
  EXPECT_EQ(snapshot_.Get("file", 2).Number("pos"), 0U);
}

// Or else who lets a program read another file would have it run that, too.
TEST_F(MappedFiles, AreNoDescriptorsWherePrivate) {
  const uint64_t file = Add(File("/lib/libc.so", O_RDONLY, 1));
  SetProgram(file);
  const uint64_t text = Map(file, 1, kReadPrivate), fd = Open(file);
  Unify();
  ASSERT_EQ(Count(), 2U);
  EXPECT_EQ(snapshot_.Get("mm", 1).Number("exe"), 1U);
  EXPECT_EQ(FileOfVma(text), 1U);
  EXPECT_EQ(FileOfFd(fd), 2U);
  EXPECT_EQ(snapshot_.Get("file", 1).Number("pos"), 0U);
  EXPECT_EQ(snapshot_.Get("file", 2).Number("pos"), 101U);
}

TEST_F(MappedFiles, AreNotTheDescriptorsOfOtherTasks) {
  Add(ObjectBuilder(*FindType("mm")));
  Add(ObjectBuilder(*FindType("fdtable")));
  Add(ObjectBuilder(*FindType("task")).SetNumber("mm", 2).SetNumber("fd", 2));
  const uint64_t file = Add(File("/data", O_RDONLY, 1));
  const uint64_t vma = Map(file), of_other = Map(file, 2), fd = Open(file, 2);
  Unify();
  ASSERT_EQ(Count(), 2U);
  EXPECT_EQ(FileOfVma(vma), 1U);
  EXPECT_EQ(FileOfVma(of_other), 2U);
  EXPECT_EQ(FileOfFd(fd), 2U);
}

TEST_F(MappedFiles, DifferThoughTheyHaveOneName) {
  const auto memfd = [](uint64_t inode) {
    return File("/memfd:x", O_RDWR, inode)
        .SetNumber("kind", CRFS_file_kind_shmem)
        .SetNumber("deleted", 1);
  };
  const uint64_t one = Map(Add(memfd(1))), other = Map(Add(memfd(2)));
  const uint64_t fd = Open(Add(memfd(2)));
  Unify();
  ASSERT_EQ(Count(), 2U);
  EXPECT_EQ(FileOfVma(one), 1U);
  EXPECT_EQ(FileOfVma(other), 2U);
  EXPECT_EQ(FileOfFd(fd), 2U);
}

}  // namespace
}  // namespace crfs
