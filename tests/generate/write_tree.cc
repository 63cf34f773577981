// SPDX-License-Identifier: Apache-2.0

#include "tests/generate/write_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/tree_contents.h"
#include "index/tree_path.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

class Writer {
 public:
  Writer(const Tree& tree, const WriteTreeOptions& options) : tree_(tree), options_(options) {}

  // `path` is that of the directory in the tree, `target` where to.
  absl::Status Directory(Inode inode, const std::string& path, const std::string& target) {
    if (::mkdir(target.c_str(), 0700) != 0) return Failed(target);
    absl::Status status;
    const absl::Status listed = tree_.List(inode, 0, [&](const Entry& entry) {
      const std::string name(entry.name);
      status = One(entry.attributes, path + "/" + name, target + "/" + name);
      return status.ok();
    });
    return status.ok() ? listed : status;
  }

 private:
  static absl::Status Failed(const std::string& path) { return absl::ErrnoToStatus(errno, path); }

  absl::Status One(const Attributes& attributes, const std::string& path,
                   const std::string& target) {
    if (S_ISDIR(attributes.mode)) return Directory(attributes.inode, path, target);
    if (S_ISLNK(attributes.mode)) return Link(attributes, path, target);
    const UniqueFd fd(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return Failed(target);
    if (options_.holes && IsMemory(tree_, attributes.inode)) {
      return Sparse(attributes, fd.get(), target);
    }
    FdSink sink(fd.get(), target);
    return CopyContents(tree_, attributes, sink);
  }

  absl::Status Link(const Attributes& attributes, const std::string& path,
                    const std::string& target) {
    const auto text = tree_.ReadLink(attributes.inode);
    if (!text.ok()) return text.status();
    if (options_.links) {
      return ::symlink(text->c_str(), target.c_str()) == 0 ? absl::OkStatus() : Failed(target);
    }
    const std::string parent = path.substr(0, path.rfind('/'));
    const auto inode = ResolvePath(tree_, parent + "/" + *text, true);
    if (!inode.ok()) return inode.status();
    return Directory(*inode, parent + "/" + *text, target);
  }

  absl::Status Sparse(const Attributes& attributes, int fd, const std::string& target) {
    if (::ftruncate(fd, static_cast<off_t>(attributes.size)) != 0) return Failed(target);
    for (uint64_t offset = 0;;) {
      const auto data = tree_.SeekData(attributes.inode, offset);
      if (absl::IsOutOfRange(data.status())) return absl::OkStatus();
      if (!data.ok()) return data.status();
      const auto hole = tree_.SeekHole(attributes.inode, *data);
      if (!hole.ok()) return hole.status();
      const auto contents = tree_.Read(attributes.inode, *data, *hole - *data);
      if (!contents.ok()) return contents.status();
      offset = *data;
      for (const Piece& piece : *contents) {
        std::string bytes(piece.length, '\0');
        if (::pread(tree_.image_fd(), bytes.data(), bytes.size(),
                    static_cast<off_t>(piece.image_offset)) < 0 ||
            ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) < 0) {
          return Failed(target);
        }
        offset += piece.length;
      }
    }
  }

  const Tree& tree_;
  const WriteTreeOptions options_;
};

}  // namespace

absl::Status WriteTree(const Tree& tree, const std::string& directory,
                       const WriteTreeOptions& options) {
  return Writer(tree, options).Directory(kRootInode, "", directory);
}

}  // namespace crfs
