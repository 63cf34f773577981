// SPDX-License-Identifier: Apache-2.0
//
// Files of a healthy program that are no longer what they were. As root every file can be opened;
// tests/guest/restart_checks asks as another user.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "crfs/schema.h"
#include "tests/unit/healthy_program.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RestartCheckFilesTest : public testing::Test {
 protected:
  static constexpr uint64_t kProgram = HealthyProgram::kProgram;
  static constexpr uint64_t kOutput = HealthyProgram::kOutput;

  std::vector<std::string> Found() { return program_.Problems(CheckFiles); }
  // Takes the one mapping and mm.exe from the program's file; fd 0 reads it.
  void OnlyRead() { program_.Set("vma", 1, "file", 0).Set("mm", 1, "exe", 0); }
  void OnlyMapped() { program_.Set("fd", 1, "file", HealthyProgram::kNull).Set("mm", 1, "exe", 0); }
  void OnlyRun() { program_.Set("fd", 1, "file", HealthyProgram::kNull).Set("vma", 1, "file", 0); }
  void Touch(const std::string& path) {
    const timespec times[] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  void Grow(const std::string& path) { WriteFile(path, ReadFile(path) + "more"); }

  void ExpectToldWhenItChanges() {
    EXPECT_THAT(Found(), IsEmpty());
    Touch(program_.program());
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/1/mtime: is ")));
    Grow(program_.program());
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/1/size: is 9, and ")));
    program_.Set("file", kProgram, "mtime", 0);
    EXPECT_THAT(Found(), IsEmpty());
  }

  HealthyProgram program_;
};

TEST_F(RestartCheckFilesTest, NothingIsWrongWithAHealthyProgram) {
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, Missing) {
  ::unlink(program_.output().c_str());
  EXPECT_THAT(Found(), ElementsAre("objects/file/2/path: " + program_.output() +
                                   " is not there: put it back, or write the path of another"));
}

TEST_F(RestartCheckFilesTest, NotLookedAtIfItIsGiven) {
  ::unlink(program_.output().c_str());
  program_.options.fds = {{.pid = 4194297, .fd = 1, .number = 2}};
  EXPECT_THAT(Found(), IsEmpty());
  program_.options.fds.clear();
  program_.Set("file", kOutput, "path", "/dev/stdout");
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, AMappedFileIsNeededAlsoIfItsDescriptorIsGiven) {
  ::unlink(program_.program().c_str());
  program_.options.fds = {{.pid = 4194297, .fd = 0, .number = 2}};
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/1/path: ")));
}

TEST_F(RestartCheckFilesTest, WhatIsOnlyReadHasNotChanged) {
  OnlyRead();
  ExpectToldWhenItChanges();
}

TEST_F(RestartCheckFilesTest, WhatIsOnlyMappedHasNotChanged) {
  OnlyMapped();
  ExpectToldWhenItChanges();
}

TEST_F(RestartCheckFilesTest, WhatIsOnlyRunHasNotChanged) {
  OnlyRun();
  ExpectToldWhenItChanges();
}

TEST_F(RestartCheckFilesTest, AFileInItsPlaceThatIsTheSameWillDo) {
  std::filesystem::copy_file(program_.program(), program_.program() + "2");
  struct stat stat = {};
  ASSERT_EQ(::stat(program_.program().c_str(), &stat), 0);
  const timespec times[] = {stat.st_atim, stat.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (program_.program() + "2").c_str(), times, 0), 0);
  program_.Set("file", kProgram, "path", program_.program() + "2");
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, WhatIsOnlyWrittenMayGrowButNotShrink) {
  Touch(program_.output());
  Grow(program_.output());
  EXPECT_THAT(Found(), IsEmpty());
  ASSERT_EQ(::truncate(program_.output().c_str(), 3), 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/2/size: is 10, and ")));
  program_.Set("file", kOutput, "flags", O_WRONLY | O_APPEND);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, WhatIsOnlyWrittenMayBeAnotherFile) {
  WriteFile(program_.output() + "2", "");
  program_.Set("file", kOutput, "path", program_.output() + "2");
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("file", kOutput, "path", "/dev/null");
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, WhatIsReadAndWrittenHasItsSize) {
  program_.Set("file", kOutput, "flags", O_RDWR);
  Touch(program_.output());
  EXPECT_THAT(Found(), IsEmpty());
  Grow(program_.output());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/2/size: is 10, and ")));
}

TEST_F(RestartCheckFilesTest, WhatIsMappedSharedAndWrittenHasItsSize) {
  OnlyMapped();
  program_.Set("vma", 1, "prot", 8 | 3).Set("vma", 1, "flags", 3 | 1 << 7 | 1 << 5);
  Touch(program_.program());
  EXPECT_THAT(Found(), IsEmpty());
  Grow(program_.program());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/file/1/size: is 9, and ")));
}

TEST_F(RestartCheckFilesTest, ABarePathHasNoContents) {
  program_.Set("file", kOutput, "flags", O_PATH);
  Grow(program_.output());
  Touch(program_.output());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, OfAnotherType) {
  ::unlink(program_.output().c_str());
  ASSERT_EQ(::mkfifo(program_.output().c_str(), 0600), 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("output is a fifo, not a regular file: ")));
  program_.Set("file", kOutput, "path", "/");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/ is a directory, not a regular file: ")));
  program_.Set("file", kOutput, "path", program_.program());
  program_.Set("fs", 1, "cwd", kProgram);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("program is a regular file, not a directory: ")));
  program_.Set("fs", 1, "cwd", HealthyProgram::kRootDirectory).Set("mm", 1, "exe", 3);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/3/path: / is a directory, not a regular file")));
}

TEST_F(RestartCheckFilesTest, AMappedFileIsNoDevice) {
  program_.Set("file", kProgram, "path", "/dev/null");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/dev/null is a character device, not a regular")));
}

TEST_F(RestartCheckFilesTest, AnotherDevice) {
  program_.Set("file", HealthyProgram::kNull, "path", "/dev/zero");
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("file", HealthyProgram::kNull, "path", "/dev/tty");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/dev/tty is another device than it was: ")));
}

TEST_F(RestartCheckFilesTest, Deleted) {
  program_.Set("file", kOutput, "deleted", 1);
  EXPECT_THAT(Found(), IsEmpty());  // another path has been written
  program_.Set("file", kOutput, "path", program_.output() + " (deleted)");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("(deleted) had been deleted, and its contents")));
}

TEST_F(RestartCheckFilesTest, NoPath) {
  for (const char* path : {"", "output", "./output"}) {
    program_.Set("file", kOutput, "path", path);
    EXPECT_THAT(Found(), ElementsAre(HasSubstr(" is no absolute path: write one")));
  }
}

TEST_F(RestartCheckFilesTest, ALinkItselfIsLookedAtWhereItWasOpen) {
  const std::string link = program_.output() + "3";
  std::filesystem::create_symlink("nowhere", link);
  program_.Set("file", kOutput, "path", link);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("is not there")));
  program_.Set("file", kOutput, "kind", CRFS_file_kind_symlink);
  program_.Set("file", kOutput, "mode", S_IFLNK | 0777).Set("file", kOutput, "flags", O_PATH);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, ALoopOfLinks) {
  const std::string link = program_.output() + "4";
  std::filesystem::create_symlink(link, link);
  program_.Set("file", kOutput, "path", link);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cannot be looked at (Too many levels of symbolic")));
}

TEST_F(RestartCheckFilesTest, TheProgramCanBeRun) {
  ASSERT_EQ(::chmod(program_.program().c_str(), 0644), 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("program may not be run by you: permission denied")));
}

TEST_F(RestartCheckFilesTest, NoAtimeIsForOwners) {
  program_.Set("file", kOutput, "flags", O_WRONLY | O_NOATIME);
  program_.caller.uids[3] = ::geteuid() + 1;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/2/flags: has O_NOATIME, and the file is not")));
  program_.caller.uids[3] = ::geteuid();
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckFilesTest, WhatIsRunOrMappedIsAFile) {
  program_.Set("mm", 1, "exe", HealthyProgram::kTerminal);
  program_.Set("vma", 1, "file", HealthyProgram::kReadEnd);
  program_.Set("fs", 1, "cwd", HealthyProgram::kReadEnd);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("is of kind pipe: link cwd and root to directories"),
                                   HasSubstr("is of kind tty: link exe to a program")));
  program_.Set("fs", 1, "cwd", HealthyProgram::kRootDirectory);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("is mapped, and of kind pipe: "),
                                   HasSubstr("is of kind tty: link exe to a program")));
}

TEST_F(RestartCheckFilesTest, DirectoriesAreNeeded) {
  program_.Set("fs", 1, "cwd", 0).Set("fs", 1, "root", 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/fs/1/cwd: is missing"),
                                   HasSubstr("objects/fs/1/root: is missing")));
}

}  // namespace
}  // namespace crfs
