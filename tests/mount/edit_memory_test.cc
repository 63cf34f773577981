// SPDX-License-Identifier: Apache-2.0
//
// Memory that is written: `pages` at any offset, and holes.

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/unique_fd.h"
#include "tests/mount/writable.h"

namespace crfs {
namespace {

constexpr off_t kPage = 4096;

// Ranges of data, as SEEK_DATA and SEEK_HOLE tell them: `FROM-TO` each.
std::string DataOf(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string ranges;
  for (off_t at = 0;;) {
    const off_t data = ::lseek(fd.get(), at, SEEK_DATA);
    if (data < 0) return errno == ENXIO ? ranges : "error";
    at = ::lseek(fd.get(), data, SEEK_HOLE);
    if (at < 0) return "error";
    absl::StrAppend(&ranges, data / kPage, "-", at / kPage, " ");
  }
}

class EditMemoryTest : public WritableTest {
 protected:
  void SetUp() override {
    WritableTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMountWritable({.tasks = 1, .memory = 1 << 20});
    if (HasFatalFailure()) return;
    // The `pages` of which the most is saved.
    const CommandResult found = RunScript(
        absl::StrCat("cd ", directory(),
                     "; find objects/mm -name pages -printf '%b %p\\n' | sort -n | tail -1"));
    const std::vector<std::string> words = absl::StrSplit(found.out, absl::ByAnyChar(" \n"));
    ASSERT_GE(words.size(), 2u) << found.out;
    pages_ = At(words[1]);
    folder_ = pages_.substr(0, pages_.size() - 6);
    ASSERT_TRUE(Succeeds(absl::StrCat("cat ", pages_, " > ", copy())));
    struct stat status;
    ASSERT_EQ(::stat(pages_.c_str(), &status), 0);
    size_ = status.st_size;
    ASSERT_GE(size_, 16 * kPage);
  }

  // What the memory should be by now, holes not minded.
  std::string copy() const { return home() + "/expected"; }
  testing::AssertionResult IsAsExpected() const {
    return Succeeds(absl::StrCat("cmp ", pages_, " ", copy()));
  }
  UniqueFd Open(int flags) const { return UniqueFd(::open(pages_.c_str(), flags | O_CLOEXEC)); }

  std::string pages_;   // path of the file
  std::string folder_;  // of its mapping
  off_t size_ = 0;
};

TEST_F(EditMemoryTest, DdAnywhereChangesThatAlone) {
  for (const char* place : {"bs=4096 seek=1 count=1", "bs=1 seek=5000 count=3",
                            "bs=3000 seek=2 count=4", "bs=4096 seek=0 count=16"}) {
    ASSERT_TRUE(Succeeds(absl::StrCat("head -c 65536 /dev/urandom > ", home(), "/random; for f in ",
                                      pages_, " ", copy(), "; do dd if=", home(),
                                      "/random of=$f conv=notrunc status=none ", place,
                                      " || exit 1; done")));
    EXPECT_TRUE(IsAsExpected()) << place;
  }
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(IsAsExpected());
  // The rest of the checkpoint is as it was.
  const CommandResult diff = RunScript(absl::StrCat("crfs diff ", image(), " ", directory()));
  EXPECT_EQ(diff.status, 1) << diff.err;
  for (const absl::string_view line : absl::StrSplit(diff.out, '\n', absl::SkipEmpty())) {
    EXPECT_NE(line.find("pages"), absl::string_view::npos) << line;
  }
}

TEST_F(EditMemoryTest, APunchedHoleIsAPageNotSaved) {
  ASSERT_TRUE(Succeeds(absl::StrCat("dd if=/dev/urandom of=", pages_,
                                    " bs=4096 count=16 conv=notrunc status=none")));
  if (!HasProgram("fallocate")) GTEST_SKIP();
  ASSERT_TRUE(Succeeds(absl::StrCat("fallocate -p -o 8192 -l 12288 ", pages_)));
  EXPECT_EQ(DataOf(pages_).rfind("0-2 5-", 0), 0u) << DataOf(pages_);
  const std::string pagemap = Get(folder_ + "/pagemap");
  EXPECT_EQ(pagemap.rfind("00000000-00002000\n00005000-", 0), 0u) << pagemap;
  EXPECT_TRUE(Succeeds(absl::StrCat("cmp -n 12288 -i 8192:0 ", pages_, " /dev/zero")));
  // Parts of pages are zero, and saved.
  ASSERT_TRUE(Succeeds(absl::StrCat("fallocate -p -o 1000 -l 5000 ", pages_)));
  EXPECT_EQ(DataOf(pages_).rfind("0-2 5-", 0), 0u) << DataOf(pages_);
  EXPECT_TRUE(Succeeds(absl::StrCat("cmp -n 5000 -i 1000:0 ", pages_, " /dev/zero")));
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_EQ(DataOf(pages_).rfind("0-2 5-", 0), 0u) << DataOf(pages_);
}

TEST_F(EditMemoryTest, BlocksAreWhatIsSaved) {
  const UniqueFd fd = Open(O_RDWR);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size_), 0);
  struct stat status;
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
  EXPECT_EQ(status.st_size, size_);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 3 * kPage), 1);
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 8);
  EXPECT_EQ(::close(::dup(fd.get())), 0);
  EXPECT_EQ(DataOf(pages_), "3-4 ");
}

TEST_F(EditMemoryTest, MemoryEndsWhereItsMappingEnds) {
  const UniqueFd fd = Open(O_RDWR);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, size_), -1);
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, size_ - 1), 1);
  struct stat status;
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, size_);
}

TEST_F(EditMemoryTest, ReadsSeeWritesAtOnce) {
  const UniqueFd writer = Open(O_RDWR);
  const UniqueFd reader = Open(O_RDONLY);
  std::string page(kPage, 'a');
  for (const char c : {'b', 'c'}) {
    EXPECT_EQ(::pread(reader.get(), page.data(), page.size(), kPage), kPage);
    const std::string wanted(kPage, c);
    ASSERT_EQ(::pwrite(writer.get(), wanted.data(), wanted.size(), kPage), kPage);
    EXPECT_EQ(::pread(reader.get(), page.data(), page.size(), kPage), kPage);
    EXPECT_EQ(page, wanted);
    const UniqueFd later = Open(O_RDONLY);
    EXPECT_EQ(::pread(later.get(), page.data(), page.size(), kPage), kPage);
    EXPECT_EQ(page, wanted);
  }
}

TEST_F(EditMemoryTest, DirectReadsAndWrites) {
  EXPECT_TRUE(Succeeds(absl::StrCat("for f in ", pages_, " ", copy(),
                                    "; do dd if=/dev/zero of=$f bs=8192 count=2 conv=notrunc "
                                    "oflag=direct status=none || exit 1; done; dd if=",
                                    pages_, " iflag=direct bs=64K status=none | cmp - ", copy())));
}

TEST_F(EditMemoryTest, SharedMappingsAreWrittenBack) {
  UniqueFd fd = Open(O_RDWR);
  const size_t length = 4 * kPage;
  void* const memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(memory, MAP_FAILED) << std::strerror(errno);
  std::memset(static_cast<char*>(memory) + 100, 'm', 5000);
  EXPECT_EQ(::msync(memory, length, MS_SYNC), 0);
  ASSERT_TRUE(Succeeds(absl::StrCat("head -c 5000 /dev/zero | tr '\\0' m | dd of=", copy(),
                                    " bs=1 seek=100 conv=notrunc status=none")));
  EXPECT_TRUE(IsAsExpected());
  // Without a word, by munmap, when the descriptor has been closed.
  fd.reset();
  std::memset(static_cast<char*>(memory) + 3 * kPage, 'n', 10);
  EXPECT_EQ(::munmap(memory, length), 0);
  ASSERT_TRUE(Succeeds(absl::StrCat("printf nnnnnnnnnn | dd of=", copy(),
                                    " bs=1 seek=12288 conv=notrunc status=none")));
  EXPECT_TRUE(IsAsExpected());
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(MountWritable());
  EXPECT_TRUE(IsAsExpected());
}

TEST_F(EditMemoryTest, MappingsSeeWrites) {
  const UniqueFd fd = Open(O_RDWR);
  const void* const memory = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(memory, MAP_FAILED) << std::strerror(errno);
  const char first = *static_cast<const volatile char*>(memory);
  const std::string text(10, static_cast<char>(first + 1));
  ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), 10);
  EXPECT_EQ(std::memcmp(memory, text.data(), text.size()), 0);
  ::munmap(const_cast<void*>(memory), kPage);
}

// Copies that make holes of zeros, and those that make zeros of holes.
// As cp(1) and tar(1) make files. What it would say by itself is longer.
TEST_F(EditMemoryTest, APagemapThatIsMadeAnewIsEmpty) {
  ASSERT_TRUE(Succeeds(absl::StrCat("fallocate -p -o 4096 -l 4096 ", pages_, " && fallocate -p -o ",
                                    "12288 -l 4096 ", pages_, " && rm ", folder_, "/pagemap")));
  EXPECT_TRUE(Succeeds(absl::StrCat("set -C; echo 00000000-00001000 > ", folder_, "/pagemap")));
}

TEST_F(EditMemoryTest, CopiesWithAndWithoutHoles) {
  const std::string data = DataOf(pages_);
  const std::string other = home() + "/new";
  for (const char* copy : {"rsync -a", "rsync -aS", "rsync -a --inplace", "cp -a --sparse=never",
                           "cp -a --sparse=always", "cp -a --sparse=auto"}) {
    const bool rsync = absl::string_view(copy).substr(0, 5) == "rsync";
    if (rsync && !HasProgram("rsync")) continue;
    ASSERT_TRUE(Succeeds(absl::StrCat("mkdir ", other, " && crfs mount --new ", other, " && ", copy,
                                      " ", directory(), "/", ".", rsync ? "/ " : " ", other, "/")))
        << copy;
    EXPECT_TRUE(IsTheImage(other)) << copy;
    EXPECT_EQ(DataOf(absl::StrCat(other, pages_.substr(directory().size()))), data) << copy;
    ASSERT_TRUE(Succeeds(absl::StrCat("crfs umount ", other, " && rm -r ", other))) << copy;
  }
}

}  // namespace
}  // namespace crfs
