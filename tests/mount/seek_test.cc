// SPDX-License-Identifier: Apache-2.0
//
// Memory files: holes, blocks, and reads at any place.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/unique_fd.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class SeekTest : public MountTest {
 protected:
  std::vector<std::string> MemoryFiles() {
    const CommandResult found =
        RunScript(absl::StrCat("find ", directory(), " -type f -name pages"));
    return absl::StrSplit(found.out, '\n', absl::SkipEmpty());
  }
};

TEST_F(SeekTest, HolesAndDataFollowOneAnother) {
  GenerateAndMount();
  ASSERT_FALSE(HasFatalFailure());
  size_t holes = 0;
  size_t data = 0;
  for (const std::string& path : MemoryFiles()) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file.valid()) << path;
    struct stat status;
    ASSERT_EQ(::fstat(file.get(), &status), 0);
    off_t at = 0;
    off_t saved = 0;
    while (at < status.st_size) {
      const off_t begin = ::lseek(file.get(), at, SEEK_DATA);
      if (begin < 0) {
        EXPECT_EQ(errno, ENXIO) << path;
        ++holes;
        break;
      }
      ASSERT_GE(begin, at) << path;
      holes += begin > at;
      const off_t end = ::lseek(file.get(), begin, SEEK_HOLE);
      ASSERT_GT(end, begin) << path;
      ASSERT_LE(end, status.st_size) << path;
      saved += end - begin;
      ++data;
      if (begin > at) {  // a page of the hole
        std::string page(4096, 'x');
        ASSERT_EQ(::pread(file.get(), page.data(), page.size(), begin - 4096), 4096) << path;
        EXPECT_EQ(page, std::string(4096, '\0')) << path;
      }
      at = end;
    }
    EXPECT_EQ((saved + 511) / 512, status.st_blocks) << path;
    EXPECT_EQ(::lseek(file.get(), status.st_size, SEEK_DATA), -1) << path;
    EXPECT_EQ(errno, ENXIO) << path;
    EXPECT_EQ(::lseek(file.get(), status.st_size + 4096, SEEK_HOLE), -1) << path;
    EXPECT_EQ(errno, ENXIO) << path;
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), status.st_size) << path;
    char byte;
    EXPECT_EQ(::pread(file.get(), &byte, 1, status.st_size), 0) << path;
  }
  EXPECT_GT(holes, 0u);
  EXPECT_GT(data, 0u);
}

// Direct reads reach the file system as they are: odd places and lengths, past each other.
TEST_F(SeekTest, PiecesEqualTheWhole) {
  GenerateAndMount();
  ASSERT_FALSE(HasFatalFailure());
  size_t compared = 0;
  for (const std::string& path : MemoryFiles()) {
    struct stat status;
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    if (status.st_size > (16 << 20)) continue;
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string whole(static_cast<size_t>(status.st_size), '\0');
    ASSERT_EQ(::pread(file.get(), whole.data(), whole.size(), 0), status.st_size) << path;
    const UniqueFd direct(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
    if (!direct.valid()) continue;
    std::string piece(70'001, '\0');
    for (off_t at = 0; at < status.st_size; at += 40'009) {
      const ssize_t wanted = std::min<off_t>(static_cast<off_t>(piece.size()), status.st_size - at);
      ASSERT_EQ(::pread(direct.get(), piece.data(), piece.size(), at), wanted) << path << " " << at;
      ASSERT_EQ(piece.compare(0, static_cast<size_t>(wanted), whole, static_cast<size_t>(at),
                              static_cast<size_t>(wanted)),
                0)
          << path << " " << at;
      ++compared;
    }
  }
  EXPECT_GT(compared, 0u);
}

}  // namespace
}  // namespace crfs
