// SPDX-License-Identifier: Apache-2.0
//
// Directories of any size, read in any way.

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "index/unique_fd.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

struct Dirent {  // as getdents64(2) has it
  ino64_t inode;
  off64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};

// Names, in order, read with a buffer of `size` bytes.
std::vector<std::string> NamesByBuffer(const std::string& path, size_t size) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<std::string> names;
  const auto buffer = std::make_unique<char[]>(size);
  for (;;) {
    const long got = ::syscall(SYS_getdents64, directory.get(), buffer.get(), size);
    EXPECT_GE(got, 0) << std::strerror(errno);
    if (got <= 0) return names;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Dirent*>(buffer.get() + at);
      names.emplace_back(entry->name);
      at += entry->length;
    }
  }
}

class BigDirectoryTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount({.objects = 200'000});
    if (HasFatalFailure()) return;
    // The biggest that there is.
    const CommandResult found =
        RunScript(absl::StrCat("cd ", directory(),
                               "/objects && for d in *; do echo \"$(ls -f $d | wc -l) "
                               "$d\"; done | sort -n | tail -1"));
    const std::string name = found.out.substr(found.out.find(' ') + 1);
    count_ = std::stoul(found.out);
    path_ = absl::StrCat(directory(), "/objects/", absl::StripSuffix(name, "\n"));
    ASSERT_GT(count_, 10'000u) << found.out;
  }

  void Forget() {
    ASSERT_TRUE(Unmount());
    ASSERT_TRUE(Mount());
  }

  std::string path_;
  size_t count_ = 0;
};

TEST_F(BigDirectoryTest, SmallAndLargeBuffersSeeTheSame) {
  const std::vector<std::string> wanted = NamesByBuffer(path_, 1 << 20);
  EXPECT_EQ(wanted.size(), count_);
  EXPECT_EQ(std::set<std::string>(wanted.begin(), wanted.end()).size(), wanted.size());
  for (const size_t size : {300, 4096}) {
    Forget();
    EXPECT_EQ(NamesByBuffer(path_, size), wanted) << size;
    EXPECT_EQ(NamesByBuffer(path_, size), wanted) << size << ", cached";
  }
}

TEST_F(BigDirectoryTest, SeekingFindsThePlaceAgain) {
  for (const bool cached : {false, true}) {
    if (!cached) Forget();
    const Directory dir(::opendir(path_.c_str()));
    ASSERT_NE(dir, nullptr);
    std::map<long, std::string> at;  // what comes at a place
    size_t read = 0;
    for (;;) {
      const long place = ::telldir(dir.get());
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr) break;
      if (read++ % 997 == 0) at[place] = entry->d_name;
    }
    EXPECT_EQ(read, count_);
    for (auto it = at.rbegin(); it != at.rend(); ++it) {
      ::seekdir(dir.get(), it->first);
      const dirent* entry = ::readdir(dir.get());
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->d_name, it->second);
    }
    ::rewinddir(dir.get());
    size_t again = 0;
    while (::readdir(dir.get()) != nullptr) ++again;
    EXPECT_EQ(again, count_);
  }
}

TEST_F(BigDirectoryTest, ManyReadersAtOnce) {
  EXPECT_TRUE(Succeeds(
      absl::StrCat("cd ", path_, "; for i in 1 2 3 4 5 6; do (find . -maxdepth 1 | wc -l > ",
                   home(), "/$i) & done; wait; for i in 1 2 3 4 5 6; do test $(cat ", home(),
                   "/$i) = ", count_ - 1, " || exit 1; done"),
      120));
}

}  // namespace
}  // namespace crfs
