// SPDX-License-Identifier: Apache-2.0

#include "index/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/index.h"
#include "index/loaded_checkpoint.h"
#include "index/tree.h"
#include "tests/generate/write_tree.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

class DiffTest : public ::testing::Test {
 protected:
  DiffTest() : image_(Generated({.tasks = 2})) { WriteFile(Path("a"), image_); }

  std::string Path(const std::string& name) const { return folder_ / name; }

  // Puts the tree of the image at Path("tree").
  void WriteTheTree() {
    auto index = Index::Open(Path("a"), {.directory = Path("index")});
    ASSERT_TRUE(index.ok()) << index.status();
    const absl::Status status = WriteTree(Tree(index->get(), {}), Path("tree"));
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string Diff(const std::string& one, const std::string& other, bool restored_only = false) {
    Problems problems;
    const auto a = LoadedCheckpoint::Open(Path(one), problems);
    const auto b = LoadedCheckpoint::Open(Path(other), problems);
    EXPECT_TRUE(a.ok() && b.ok());
    EXPECT_THAT(problems, ::testing::IsEmpty());
    if (!a.ok() || !b.ok() || !problems.empty()) return "";
    std::string text;
    StringSink sink(&text);
    const auto differ = DiffCheckpoints(*a, *b, {.restored_only = restored_only}, sink);
    EXPECT_TRUE(differ.ok()) << differ.status();
    EXPECT_EQ(differ.value_or(false), !text.empty());
    return text;
  }

  // What differs once `script` has been run in the tree.
  std::string After(const std::string& script, bool restored_only = false) {
    WriteTheTree();
    const std::string command = absl::StrCat("cd '", Path("tree"), "' && ", script);
    EXPECT_EQ(std::system(command.c_str()), 0) << script;
    return Diff("a", "tree", restored_only);
  }

  TemporaryFolder folder_;
  const std::string image_;
};

TEST_F(DiffTest, EqualCheckpointsHaveNothing) {
  EXPECT_EQ(Diff("a", "a"), "");
  EXPECT_EQ(After(":"), "");
  EXPECT_EQ(Diff("tree", "a"), "");
}

// One changed file is one line, and nothing else.
TEST_F(DiffTest, OneNumber) {
  WriteTheTree();
  const std::string was = ReadFile(Path("tree/tasks/300/threads/300/regs/rip"));
  WriteFile(Path("tree/tasks/300/threads/300/regs/rip"), "0x1234\n");
  EXPECT_EQ(Diff("a", "tree"), absl::StrCat("tasks/300/threads/300/regs/rip: ",
                                            was.substr(0, was.size() - 1), " -> 0x1234\n"));
}

TEST_F(DiffTest, OneText) {
  WriteTheTree();
  WriteFile(Path("tree/objects/file/2/path"), "/one\n");
  WriteFile(Path("b"), image_);
  std::string diff = Diff("a", "tree");
  EXPECT_THAT(diff, ::testing::StartsWith("objects/file/2/path: "));
  EXPECT_THAT(diff, ::testing::EndsWith(" -> /one\n"));
  WriteFile(Path("tree/objects/file/2/path"), absl::StrCat(std::string(1000, 'x'), "\n"));
  EXPECT_THAT(Diff("a", "tree"),
              HasSubstr(absl::StrCat(std::string(120, 'x'), "... (1000 bytes)\n")));
}

TEST_F(DiffTest, OneLineOfSeveral) {
  WriteTheTree();
  WriteFile(Path("tree/tasks/300/argv"), "cat\n-n\nfile\n");
  Problems problems;
  ASSERT_TRUE(WriteCheckpoint(*LoadedCheckpoint::FromTree(Path("tree"), problems), Path("b")).ok());
  WriteFile(Path("tree/tasks/300/argv"), "cat\n-E\nfile\n");
  EXPECT_EQ(Diff("b", "tree"), "tasks/300/argv: line 2: -n -> -E\n");
  WriteFile(Path("tree/tasks/300/argv"), "cat\n-n\nfile\nmore\n");
  EXPECT_EQ(Diff("b", "tree"), "tasks/300/argv: line 4:  -> more\n");
}

TEST_F(DiffTest, RawBytes) {
  WriteTheTree();
  const std::string fpu(100, 'x');
  WriteFile(Path("tree/tasks/300/threads/300/fpu"), fpu);
  Problems problems;
  ASSERT_TRUE(WriteCheckpoint(*LoadedCheckpoint::FromTree(Path("tree"), problems), Path("b")).ok());
  std::string changed = fpu + "more";
  changed[3] = changed[4] = changed[90] = 'y';
  WriteFile(Path("tree/tasks/300/threads/300/fpu"), changed);
  EXPECT_EQ(Diff("b", "tree"),
            "tasks/300/threads/300/fpu: bytes 3-5 differ\n"
            "tasks/300/threads/300/fpu: bytes 90-91 differ\n"
            "tasks/300/threads/300/fpu: 100 -> 104 bytes\n");
}

TEST_F(DiffTest, AReference) {
  EXPECT_THAT(After("rm objects/fs/1/cwd; ln -s ../../file/9 objects/fs/1/cwd;"
                    "rm -f tasks/*/cwd"),
              ::testing::MatchesRegex("objects/fs/1/cwd: .* -> objects/file/9\n"));
  EXPECT_THAT(Diff("tree", "a"), HasSubstr("objects/fs/1/cwd: objects/file/9 -> "));
}

TEST_F(DiffTest, ADescriptorThatIsInherited) {
  EXPECT_THAT(After("ln -sfn inherit/7 objects/fdtable/1/0/file"),
              ::testing::MatchesRegex("objects/fdtable/1/0/file: objects/file/[0-9]* -> "
                                      "inherit/7\n"));
}

TEST_F(DiffTest, WhatIsInOneAloneIsOneLine) {
  EXPECT_EQ(After("rm -r objects/fdtable/1/1"),
            absl::StrCat("only in ", Path("a"), ": objects/fdtable/1/1\n"));
  EXPECT_EQ(Diff("tree", "a"), absl::StrCat("only in ", Path("a"), ": objects/fdtable/1/1\n"));
}

TEST_F(DiffTest, MemoryIsRangesOfAddresses) {
  // Saved are the pages 0, 3, 4 and 15.
  EXPECT_EQ(
      After("cd objects/mm/1/vmas/00001000-00011000 && "
            "printf x | dd of=pages bs=1 seek=5000 conv=notrunc status=none && "
            "printf x | dd of=pages bs=1 seek=12288 conv=notrunc status=none && "
            "printf y | dd of=pages bs=1 seek=20479 conv=notrunc status=none"),
      absl::StrCat("objects/mm/1/vmas/00001000-00011000/pages: 00002000-00003000 is saved in ",
                   Path("tree"),
                   " alone\n"
                   "objects/mm/1/vmas/00001000-00011000/pages: 00004000-00006000 differs\n"));
}

TEST_F(DiffTest, APageThatIsNoLongerSaved) {
  EXPECT_EQ(
      After("cd objects/mm/1/vmas/00001000-00011000 && sed -i 1d pagemap && "
            "fallocate -p -o 0 -l 4096 pages"),
      absl::StrCat("objects/mm/1/vmas/00001000-00011000/pages: 00001000-00002000 is saved in ",
                   Path("a"), " alone\n"));
}

TEST_F(DiffTest, OnlyWhatARestartSets) {
  EXPECT_EQ(After("echo other > checkpoint/hostname; echo 7 > objects/pipe/1/inode", true), "");
  EXPECT_THAT(Diff("a", "tree"), HasSubstr("checkpoint/hostname: "));
}

}  // namespace
}  // namespace crfs
