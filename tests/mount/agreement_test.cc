// SPDX-License-Identifier: Apache-2.0
//
// What the kernel shows of a mount is what Tree says, entry by entry.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/index.h"
#include "index/tree.h"
#include "index/unique_fd.h"
#include "tests/mount/mounted.h"

namespace crfs {
namespace {

class AgreementTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    GenerateAndMount();
    if (HasFatalFailure()) return;
    IndexOptions options;
    options.directory = MountTest::index();
    absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(image(), options);
    ASSERT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{});
  }

  const Tree& tree() const { return *tree_; }

  // Calls `visit` for each inode below (and with) `path`.
  template <typename Visit>
  void Walk(const std::string& path, const Attributes& attributes, const Visit& visit) {
    visit(path, attributes);
    if (!S_ISDIR(attributes.mode)) return;
    std::vector<std::pair<std::string, Attributes>> entries;
    const absl::Status listed = tree().List(attributes.inode, 0, [&](const Entry& entry) {
      entries.emplace_back(std::string(entry.name), entry.attributes);
      return true;
    });
    ASSERT_TRUE(listed.ok()) << path << ": " << listed;
    for (const auto& [name, child] : entries) Walk(absl::StrCat(path, "/", name), child, visit);
  }

  template <typename Visit>
  void WalkAll(const Visit& visit) {
    const absl::StatusOr<Attributes> root = tree().Stat(kRootInode);
    ASSERT_TRUE(root.ok()) << root.status();
    Walk(directory(), *root, visit);
  }

 private:
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string ReadFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::string buffer(1 << 20, '\0');
  for (ssize_t got; (got = ::read(file.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer, 0, static_cast<size_t>(got));
  }
  return text;
}

TEST_F(AgreementTest, Attributes) {
  size_t seen = 0;
  WalkAll([&](const std::string& path, const Attributes& wanted) {
    struct stat found;
    ASSERT_EQ(::lstat(path.c_str(), &found), 0) << path;
    EXPECT_EQ(found.st_ino, wanted.inode) << path;
    EXPECT_EQ(found.st_mode, wanted.mode) << path;
    EXPECT_EQ(found.st_nlink, wanted.nlink) << path;
    EXPECT_EQ(found.st_uid, wanted.uid) << path;
    EXPECT_EQ(found.st_gid, wanted.gid) << path;
    EXPECT_EQ(static_cast<uint64_t>(found.st_size), wanted.size) << path;
    EXPECT_EQ(static_cast<uint64_t>(found.st_blocks), wanted.blocks) << path;
    EXPECT_EQ(found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec, wanted.time_ns) << path;
    EXPECT_EQ(found.st_ctim.tv_sec, found.st_mtim.tv_sec) << path;
    EXPECT_EQ(found.st_blksize, 4096) << path;
    ++seen;
  });
  EXPECT_GT(seen, 100u);
}

TEST_F(AgreementTest, NamesAndTheirInodes) {
  WalkAll([&](const std::string& path, const Attributes& attributes) {
    if (!S_ISDIR(attributes.mode)) return;
    std::map<std::string, Inode> wanted;
    ASSERT_TRUE(tree()
                    .List(attributes.inode, 0,
                          [&](const Entry& entry) {
                            wanted[std::string(entry.name)] = entry.attributes.inode;
                            return true;
                          })
                    .ok());
    std::map<std::string, Inode> found;
    const std::unique_ptr<DIR, CloseDirectory> dir(::opendir(path.c_str()));
    ASSERT_NE(dir, nullptr) << path;
    while (const dirent* entry = ::readdir(dir.get())) {
      EXPECT_TRUE(found.emplace(entry->d_name, entry->d_ino).second) << path << ": twice";
    }
    EXPECT_EQ(found.count("."), 1u);
    EXPECT_EQ(found.count(".."), 1u);
    EXPECT_EQ(found["."], attributes.inode) << path;
    found.erase(".");
    found.erase("..");
    EXPECT_EQ(found, wanted) << path;
  });
}

TEST_F(AgreementTest, Contents) {
  WalkAll([&](const std::string& path, const Attributes& attributes) {
    if (S_ISLNK(attributes.mode)) {
      const absl::StatusOr<std::string> wanted = tree().ReadLink(attributes.inode);
      ASSERT_TRUE(wanted.ok()) << path << ": " << wanted.status();
      std::string target(4096, '\0');
      const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
      ASSERT_GE(size, 0) << path;
      EXPECT_EQ(target.substr(0, static_cast<size_t>(size)), *wanted) << path;
      EXPECT_EQ(static_cast<uint64_t>(size), attributes.size) << path;
    } else if (S_ISREG(attributes.mode) && attributes.size < (8 << 20)) {
      const absl::StatusOr<Contents> wanted = tree().Read(attributes.inode, 0, attributes.size);
      ASSERT_TRUE(wanted.ok()) << path << ": " << wanted.status();
      std::string expected;
      for (const Piece& piece : *wanted) {
        if (piece.kind == Piece::Kind::kBytes) {
          expected += piece.bytes;
        } else if (piece.kind == Piece::Kind::kZeros) {
          expected.append(piece.length, '\0');
        } else {
          std::string bytes(piece.length, '\0');
          ASSERT_EQ(::pread(tree().image_fd(), bytes.data(), bytes.size(),
                            static_cast<off_t>(piece.image_offset)),
                    static_cast<ssize_t>(piece.length));
          expected += bytes;
        }
      }
      const std::string found = ReadFile(path);
      EXPECT_EQ(found.size(), attributes.size) << path;
      EXPECT_TRUE(found == expected) << path;
    }
  });
}

TEST_F(AgreementTest, ExtendedAttributes) {
  size_t seen = 0;
  WalkAll([&](const std::string& path, const Attributes& attributes) {
    const std::vector<std::string> wanted = tree().ListXattrs(attributes.inode);
    std::string names(4096, '\0');
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    ASSERT_GE(size, 0) << path;
    names.resize(static_cast<size_t>(size));
    const std::vector<std::string> found = absl::StrSplit(names, '\0', absl::SkipEmpty());
    EXPECT_EQ(found, wanted) << path;
    EXPECT_EQ(::llistxattr(path.c_str(), nullptr, 0), size) << path;
    for (const std::string& name : wanted) {
      // The kernel keeps user.* of symbolic links from everyone.
      if (S_ISLNK(attributes.mode)) continue;
      const absl::StatusOr<std::string> expected = tree().GetXattr(attributes.inode, name);
      ASSERT_TRUE(expected.ok()) << path << " " << name << ": " << expected.status();
      std::string value(4096, '\0');
      const ssize_t length = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
      ASSERT_GE(length, 0) << path << " " << name;
      EXPECT_EQ(value.substr(0, static_cast<size_t>(length)), *expected) << path << " " << name;
      ++seen;
      if (expected->size() > 1) {
        EXPECT_EQ(::lgetxattr(path.c_str(), name.c_str(), value.data(), 1), -1);
        EXPECT_EQ(errno, ERANGE);
      }
    }
  });
  EXPECT_GT(seen, 0u);
  for (const char* name : {"user.crfs.no_such", "user.other", "security.capability"}) {
    errno = 0;
    EXPECT_EQ(::getxattr(directory().c_str(), name, nullptr, 0), -1) << name;
    EXPECT_EQ(errno, ENODATA) << name;
  }
}

TEST_F(AgreementTest, FileSystem) {
  struct statvfs numbers;
  ASSERT_EQ(::statvfs(directory().c_str(), &numbers), 0);
  EXPECT_EQ(numbers.f_blocks, (tree().image_size() + 4095) / 4096);
  EXPECT_EQ(numbers.f_files, tree().object_count());
  EXPECT_EQ(numbers.f_bfree, 0u);
  EXPECT_EQ(numbers.f_namemax, 255u);
  EXPECT_NE(numbers.f_flag & ST_RDONLY, 0u);
}

TEST_F(AgreementTest, MissingNamesStayMissing) {
  struct stat found;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(::lstat((directory() + "/no such name").c_str(), &found), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(::lstat((directory() + "/" + std::string(255, 'x')).c_str(), &found), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(::lstat((directory() + "/" + std::string(256, 'x')).c_str(), &found), -1);
    EXPECT_EQ(errno, ENAMETOOLONG);
  }
}

// A handle made before the mount's inodes left the kernel's memory still finds its file.
TEST_F(AgreementTest, FileHandles) {
  const std::string path = directory() + "/checkpoint/uuid";
  const std::string wanted = ReadFile(path);
  ASSERT_FALSE(wanted.empty());
  struct {
    file_handle head;
    char space[MAX_HANDLE_SZ];
  } handle = {};
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  ASSERT_EQ(::name_to_handle_at(AT_FDCWD, path.c_str(), &handle.head, &mount_id, 0), 0);
  ASSERT_TRUE(Unmount());
  ASSERT_TRUE(Mount());
  const UniqueFd root(::open(directory().c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd file(::open_by_handle_at(root.get(), &handle.head, O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == EPERM) GTEST_SKIP() << "needs CAP_DAC_READ_SEARCH";
  ASSERT_TRUE(file.valid()) << errno;
  std::string found(4096, '\0');
  found.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(file.get(), found.data(), 4096))));
  EXPECT_EQ(found, wanted);
}

}  // namespace
}  // namespace crfs
