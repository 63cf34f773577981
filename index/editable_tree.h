// SPDX-License-Identifier: Apache-2.0
//
// A tree that can be changed: what a writable mount shows (docs/tree.md, "Writing"). It lies
// over the tree of an image, which is never touched, or over nothing. Every change is kept on
// disk in a folder of its own, so that it outlives the process: what a call that changes
// something has returned OK for is there again when the folder is next opened, whenever the
// process is killed. Knows nothing of how it is mounted.
//
// Where an image stands below, its files keep their inode numbers (index/inodes.h); what is
// made here gets numbers of the area kEditsArea, which are kept as well. A file that is
// renamed keeps its number: the kernel goes on using the one that it knows.
//
// Any thread may make any call at once, but for those of one OpenFile, which has its own lock.
//
// Errors carry their errno (index/edit_error.h): ENOENT, EEXIST, ENOTEMPTY, EXDEV, EISDIR,
// ENOTDIR, ENAMETOOLONG; EINVAL no such value; ERANGE the number does not fit the row; EROFS
// the value is part of what the object is, or computed, and cannot become another; EFBIG
// beyond the end of the memory; ENOSPC, EIO; EOPNOTSUPP what no tree has (hard links,
// devices).

#ifndef CRFS_INDEX_EDITABLE_TREE_H_
#define CRFS_INDEX_EDITABLE_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/tree.h"

namespace crfs {

class Index;

// Who makes a change: the owner of what is made.
struct Caller {
  uid_t uid;
  gid_t gid;
};

// What setattr changes; the rest stays.
struct AttributeChanges {
  std::optional<mode_t> mode;  // permissions
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<uint64_t> size;  // bytes; of a file that is not open
  std::optional<int64_t> atime_ns;
  std::optional<int64_t> mtime_ns;
};

// A file that is open. What is written to a value is kept here until Flush parses it; what is
// written to memory, or to a file that no row stands for, is there at once. Any thread.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  // As Tree::Read; sees what has been written here.
  virtual absl::StatusOr<Contents> Read(uint64_t offset, uint64_t length) const = 0;
  virtual absl::Status Write(uint64_t offset, absl::string_view bytes) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  // fallocate(2): with `punch`, the pages that lie wholly in the range are not saved any more
  // and the rest of it is zero; else makes the file longer if it is shorter. `keep_size` as
  // FALLOC_FL_KEEP_SIZE.
  virtual absl::Status Allocate(uint64_t offset, uint64_t length, bool punch, bool keep_size) = 0;
  virtual absl::StatusOr<uint64_t> SeekData(uint64_t offset) const = 0;
  virtual absl::StatusOr<uint64_t> SeekHole(uint64_t offset) const = 0;
  // At each close(2) of a descriptor: parses, checks and keeps what was written. May be called
  // often, and again after it has failed, when more has been written; what was written is kept
  // until then. A file that was only cut to nothing is empty, whether that is a value or not:
  // a shell closes a descriptor between `>` and what it writes.
  virtual absl::Status Flush() = 0;
  // fsync(2): Flush, and it outlives a loss of power.
  virtual absl::Status Sync() = 0;
  virtual absl::StatusOr<Attributes> Stat() const = 0;
  // Somebody has set the file's times (SetAttributes): what has been written until now is not
  // to change them when it is parsed.
  virtual void KeepTimes() = 0;
};

class EditableTree {
 public:
  // Opens the edits in the folder `edits`, which is made if it is missing. `base` is the image
  // below, or nullptr; both must outlive the tree. FAILED_PRECONDITION: the edits are those of
  // another image (or of none), or another process has them open; DATA_LOSS: they are damaged.
  static absl::StatusOr<std::unique_ptr<EditableTree>> Open(const Index* base,
                                                            const std::string& edits);
  virtual ~EditableTree() = default;

  // As those of Tree.
  virtual absl::StatusOr<Attributes> Lookup(Inode directory, absl::string_view name) const = 0;
  virtual absl::StatusOr<Attributes> Stat(Inode inode) const = 0;
  virtual absl::Status List(Inode directory, uint64_t from,
                            absl::FunctionRef<bool(const Entry&)> visit) const = 0;
  virtual absl::StatusOr<Inode> Parent(Inode directory) const = 0;
  virtual absl::StatusOr<std::string> ReadLink(Inode link) const = 0;
  // Besides those of Tree: user.crfs.error on a file whose last change was refused: why, in
  // words.
  virtual std::vector<std::string> ListXattrs(Inode inode) const = 0;
  virtual absl::StatusOr<std::string> GetXattr(Inode inode, absl::string_view name) const = 0;
  // Whether the contents or size of a file may change without a call that names it: it is
  // computed from others, so nobody may remember it.
  virtual bool IsComputed(Inode inode) const = 0;

  virtual absl::StatusOr<Attributes> MakeDirectory(Inode directory, absl::string_view name,
                                                   mode_t mode, Caller caller) = 0;
  virtual absl::StatusOr<Attributes> MakeLink(Inode directory, absl::string_view name,
                                              absl::string_view target, Caller caller) = 0;
  struct Created {
    Attributes attributes;
    std::unique_ptr<OpenFile> file;
  };
  // open(2) with O_CREAT; `exclusive` as O_EXCL. Only what was made is there: the kernel itself
  // answers EEXIST to O_EXCL where a name is seen, and cp and tar make all files of a directory
  // that they have made that way.
  virtual absl::StatusOr<Created> Create(Inode directory, absl::string_view name, mode_t mode,
                                         bool exclusive, bool truncate, Caller caller) = 0;
  virtual absl::StatusOr<std::unique_ptr<OpenFile>> Open(Inode file, bool write, bool truncate) = 0;
  // A value that is taken away is its default (docs/tree.md, "Missing files").
  virtual absl::Status Unlink(Inode directory, absl::string_view name) = 0;
  virtual absl::Status RemoveDirectory(Inode directory, absl::string_view name) = 0;
  // `flags` as of renameat2(2): RENAME_NOREPLACE; others are EINVAL. A file that becomes that
  // of a row is checked as Flush does.
  virtual absl::Status Rename(Inode directory, absl::string_view name, Inode new_directory,
                              absl::string_view new_name, unsigned flags) = 0;
  virtual absl::StatusOr<Attributes> SetAttributes(Inode inode,
                                                   const AttributeChanges& changes) = 0;
  // Names of user.crfs. are the tree's own: EPERM. Others in user. and trusted. are kept.
  virtual absl::Status SetXattr(Inode inode, absl::string_view name, absl::string_view value,
                                int flags) = 0;
  virtual absl::Status RemoveXattr(Inode inode, absl::string_view name) = 0;
  // fsync(2) of a directory: all that was returned OK for outlives a loss of power.
  virtual absl::Status Sync() = 0;

  struct Space {
    uint64_t bytes;  // of the file system that holds the edits
    uint64_t free;
    uint64_t available;  // to who is not root
    uint64_t objects;    // in the tree, about
  };
  virtual absl::StatusOr<Space> Measure() const = 0;
  // As Tree::image_fd; -1 without an image.
  virtual int image_fd() const = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_EDITABLE_TREE_H_
