// SPDX-License-Identifier: Apache-2.0

#include "index/byte_stream.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace crfs {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class NewFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "crfs.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    for (const std::string& name : Names()) ::unlink(Path(name).c_str());
    ::rmdir(folder_.c_str());
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    DIR* folder = ::opendir(folder_.c_str());
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(folder);
    return names;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }

  std::string folder_;
};

TEST_F(NewFileTest, AppearsAtCommit) {
  auto file = NewFile::Create(Path("a.crfs"));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("whole").ok());
  EXPECT_EQ(::access(Path("a.crfs").c_str(), F_OK), -1);
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("a.crfs"));
  EXPECT_EQ(Read("a.crfs"), "whole");
  struct stat status;
  ASSERT_EQ(::stat(Path("a.crfs").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(NewFileTest, LeavesNothingWithoutCommit) {
  Write("a.crfs", "old");
  {
    auto file = NewFile::Create(Path("a.crfs"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write("half").ok());
    NewFile moved = *std::move(file);
    NewFile assigned = *NewFile::Create(Path("b.crfs"));
    assigned = std::move(moved);
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("a.crfs"));
  EXPECT_EQ(Read("a.crfs"), "old");
}

TEST_F(NewFileTest, ReplacesAFile) {
  Write("a.crfs", "old");
  auto file = NewFile::Create(Path("a.crfs"));
  ASSERT_TRUE(file->Write("new").ok());
  EXPECT_EQ(Read("a.crfs"), "old");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Read("a.crfs"), "new");
  EXPECT_THAT(Names(), UnorderedElementsAre("a.crfs"));
}

TEST_F(NewFileTest, ReplacesWhatALinkLeadsTo) {
  Write("real", "old");
  ASSERT_EQ(::symlink("real", Path("link").c_str()), 0);
  auto file = NewFile::Create(Path("link"));
  ASSERT_TRUE(file->Write("new").ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Read("real"), "new");
  struct stat status;
  ASSERT_EQ(::lstat(Path("link").c_str(), &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
}

TEST_F(NewFileTest, WritesToDevicesAndFifosDirectly) {
  auto null = NewFile::Create("/dev/null");
  ASSERT_TRUE(null.ok());
  EXPECT_TRUE(null->Write("x").ok());
  EXPECT_TRUE(null->Commit().ok());
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = Read("fifo"); });
  {
    auto fifo = NewFile::Create(Path("fifo"));
    ASSERT_TRUE(fifo.ok());
    EXPECT_TRUE(fifo->Write("through").ok());
    EXPECT_TRUE(fifo->Commit().ok());
  }
  reader.join();
  EXPECT_EQ(read, "through");
}

TEST_F(NewFileTest, SaysWhyNot) {
  struct {
    std::string path;
    const char* message;
  } const kCases[] = {
      {folder_, "Is a directory"},
      {Path("none/a.crfs"), "No such file or directory"},
      {"/proc/a.crfs", "/proc/a.crfs: cannot create"},
      {"/dev/full", ""},
  };
  for (const auto& each : kCases) {
    auto file = NewFile::Create(each.path);
    absl::Status status = file.status();
    if (status.ok()) status = file->Write("x");
    EXPECT_FALSE(status.ok()) << each.path;
    EXPECT_THAT(std::string(status.message()), HasSubstr(each.path + ": cannot "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(each.message));
  }
}

// A file that cannot grow stands for a disk that is full: write(2) fails part of the way.
TEST_F(NewFileTest, LeavesNothingWhenItCannotBeWritten) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    absl::Status status;
    {
      auto file = NewFile::Create(Path("a.crfs"));
      status = file->Write(std::string(300'000, 'x'));
    }
    const bool told = !status.ok() && status.message().find("cannot write") != std::string::npos;
    ::_exit(told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(NewFileTest, AFullDiskSaysSo) {
  auto file = NewFile::Create("/dev/full");
  ASSERT_TRUE(file.ok());
  const absl::Status status = file->Write("x");
  EXPECT_THAT(std::string(status.message()), HasSubstr("No space left on device"));
}

TEST_F(NewFileTest, KilledInTheMiddle) {
  if (!UniqueFd(::open(folder_.c_str(), O_TMPFILE | O_RDWR, 0600)).valid()) {
    GTEST_SKIP() << "this file system has no files without a name";
  }
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = NewFile::Create(Path("a.crfs"));
    const absl::Status status = file->Write("half");
    ::raise(SIGKILL);
    ::_exit(status.ok());
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(NewFileTest, SkipsInAFile) {
  Write("a", "0123456789");
  const UniqueFd fd(::open(Path("a").c_str(), O_RDONLY));
  FdSource source(fd.get(), "a");
  char buffer[4];
  ASSERT_EQ(*source.Read(buffer), 4u);
  ASSERT_TRUE(source.Skip(3).ok());
  ASSERT_EQ(*source.Read(buffer), 3u);
  EXPECT_EQ(std::string(buffer, 3), "789");
  ASSERT_TRUE(source.Skip(uint64_t{1} << 63).ok());
  EXPECT_EQ(*source.Read(buffer), 0u);
}

TEST(PipeTest, SkipsByReading) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::thread writer([&] {
    FdSink sink(write_end.get(), "pipe");
    EXPECT_TRUE(sink.Write(std::string(200'000, 'a')).ok());
    EXPECT_TRUE(sink.Write("end").ok());
    write_end.reset();
  });
  FdSource source(read_end.get(), "pipe");
  ASSERT_TRUE(source.Skip(200'000).ok());
  char buffer[8];
  ASSERT_EQ(*source.Read(buffer), 3u);
  EXPECT_EQ(std::string(buffer, 3), "end");
  EXPECT_TRUE(source.Skip(10).ok());
  EXPECT_EQ(*source.Read(buffer), 0u);
  writer.join();
}

}  // namespace
}  // namespace crfs
