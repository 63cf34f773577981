// SPDX-License-Identifier: Apache-2.0

#include "index/tree_copies.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/open_below.h"

namespace crfs {
namespace {

using Kind = TreeFile::Kind;

constexpr size_t kStep = 1 << 20;

bool SameExtents(const std::vector<crfs_extent>& a, const std::vector<crfs_extent>& b) {
  return std::ranges::equal(a, b, [](const crfs_extent& x, const crfs_extent& y) {
    return x.offset == y.offset && x.length == y.length;
  });
}

// Reads as much as there is, up to the buffer's size.
absl::StatusOr<size_t> ReadAt(int fd, std::string& buffer, size_t length, uint64_t offset) {
  size_t got = 0;
  while (got < length) {
    const ssize_t part =
        ::pread(fd, buffer.data() + got, length - got, static_cast<off_t>(offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return absl::ErrnoToStatus(errno, "cannot be read");
    if (part == 0) break;
    got += static_cast<size_t>(part);
  }
  return got;
}

bool IsSameFile(int a, int b) {
  struct stat one, other;
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

class Comparer {
 public:
  Comparer(int root, ProblemList& problems) : root_(root), problems_(problems) {}

  void Compare(const TreeObject& original, const TreeObject& copy) {
    for (const Row& row : original.type->rows) {
      if (row.wire != Wire::kNone) CompareRow(row, original, copy);
    }
    CompareMemory(original, copy);
    for (const auto& child : original.children) {
      const TreeObject* other = Find(copy, *child);
      if (other != nullptr) {
        Compare(*child, *other);
      } else {
        OneOnly(child->path, copy.path);
      }
    }
    for (const auto& child : copy.children) {
      if (Find(original, *child) == nullptr) OneOnly(child->path, original.path);
    }
  }

 private:
  static const TreeObject* Find(const TreeObject& owner, const TreeObject& wanted) {
    const TreeObject* found = TreeIndex::FindChild(owner, *wanted.type, wanted.name->key);
    return found != nullptr && found->name->end == wanted.name->end ? found : nullptr;
  }

  void OneOnly(const std::string& path, const std::string& other) {
    problems_.Add(path, "is not in ", problems_.Whole(other),
                  ", which is a copy of the same object: make the copies the same");
  }

  void Differ(const std::string& path, const std::string& other) {
    problems_.Add(path, "differs from ", problems_.Whole(other),
                  ", which is of a copy of the same object: make the two the same");
  }

  void CompareRow(const Row& row, const TreeObject& original, const TreeObject& copy) {
    const TreeFile& one = original.file(row);
    const TreeFile& other = copy.file(row);
    if (one.kind == Kind::kWrong || other.kind == Kind::kWrong) return;
    const bool one_is_there = one.kind != Kind::kMissing;
    const bool other_is_there = other.kind != Kind::kMissing;
    if (one_is_there && !other_is_there) return OneOnly(original.PathOf(row), copy.path);
    if (other_is_there && !one_is_there) return OneOnly(copy.PathOf(row), original.path);
    const bool is_inherited = one.kind == Kind::kInherit;
    if (one.value == other.value && is_inherited == (other.kind == Kind::kInherit)) return;
    Differ(copy.PathOf(row), original.PathOf(row));
  }

  void CompareMemory(const TreeObject& original, const TreeObject& copy) {
    const Row* row = original.type->Find("pages");
    if (row == nullptr) return;
    const std::string one = original.PathOf(*row), other = copy.PathOf(*row);
    if (!SameExtents(original.memory.extents, copy.memory.extents)) return Differ(other, one);
    if (original.memory.extents.empty()) return;
    const auto one_file = OpenFileBelow(root_, one);
    if (!one_file.ok()) return problems_.Add(one, one_file.status().message());
    const auto other_file = OpenFileBelow(root_, other);
    if (!other_file.ok()) return problems_.Add(other, other_file.status().message());
    if (IsSameFile(one_file->get(), other_file->get())) return;
    for (const crfs_extent& extent : original.memory.extents) {
      const auto same = SameBytes(one_file->get(), other_file->get(), extent);
      if (!same.ok()) return problems_.Add(other, same.status().message());
      if (!*same) return Differ(other, one);
    }
  }

  absl::StatusOr<bool> SameBytes(int one, int other, const crfs_extent& extent) {
    for (uint64_t done = 0; done < extent.length; done += kStep) {
      const size_t length = std::min<uint64_t>(kStep, extent.length - done);
      const auto one_length = ReadAt(one, one_bytes_, length, extent.offset + done);
      if (!one_length.ok()) return one_length.status();
      const auto other_length = ReadAt(other, other_bytes_, length, extent.offset + done);
      if (!other_length.ok()) return other_length.status();
      if (*one_length != *other_length) return false;
      if (std::memcmp(one_bytes_.data(), other_bytes_.data(), *one_length) != 0) return false;
    }
    return true;
  }

  const int root_;
  ProblemList& problems_;
  std::string one_bytes_ = std::string(kStep, '\0');
  std::string other_bytes_ = std::string(kStep, '\0');
};

}  // namespace

void CompareCopies(int root, const TreeIndex& index, ProblemList& problems) {
  Comparer comparer(root, problems);
  for (const TreeIndex::Copy& copy : index.copies()) comparer.Compare(*copy.original, *copy.copy);
}

}  // namespace crfs
