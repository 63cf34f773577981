// SPDX-License-Identifier: Apache-2.0
//
// The tree of one checkpoint: names, modes, sizes and contents (docs/tree.md), without
// knowing how it is mounted. Const calls may be made from any thread at once.
//
// Inode numbers are computed, not stored: 8 bits of object type (ObjectType::index + 1; 0
// for what belongs to no object), 44 bits of object id, 12 bits of place within the
// object's directory. They are the same on each mount of an image, and nothing needs to be
// remembered for a number handed out.

#ifndef CRFS_INDEX_TREE_H_
#define CRFS_INDEX_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/unique_fd.h"

namespace crfs {

class Index;

using Inode = uint64_t;
inline constexpr Inode kRootInode = 1;

// What stat(2) shows.
struct Attributes {
  Inode inode = 0;
  mode_t mode = 0;  // type and permissions
  uint32_t nlink = 1;
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;    // bytes
  uint64_t blocks = 0;  // of 512 bytes, that are really there
  int64_t time_ns = 0;  // mtime, ctime and atime: when the checkpoint was taken
};

struct Entry {
  absl::string_view name;  // valid during the call
  Attributes attributes;
  uint64_t next;  // where to go on after this entry (List's `from`)
};

// A part of a file's contents. Pieces of one Read follow one another.
struct Piece {
  enum class Kind { kBytes, kZeros, kImage, kFile };
  Kind kind;
  uint64_t length;
  std::string bytes;          // kBytes
  uint64_t image_offset = 0;  // kImage: where in image_fd(), verified against its checksum
  // kFile, of an EditableTree alone: an open file, and where in it.
  std::shared_ptr<const UniqueFd> file = nullptr;
  uint64_t file_offset = 0;
};
using Contents = absl::InlinedVector<Piece, 2>;

struct TreeOptions {
  bool list_views = false;  // whether the root lists .views
};

// Errors: NOT_FOUND no such name; DATA_LOSS the image is damaged or has changed, with its
// path; FAILED_PRECONDITION not a directory, or not what the call is for; OUT_OF_RANGE seek
// beyond the end.
class Tree {
 public:
  // `index` must outlive the tree.
  Tree(const Index* index, TreeOptions options);
  ~Tree();

  absl::StatusOr<Attributes> Lookup(Inode directory, absl::string_view name) const;
  absl::StatusOr<Attributes> Stat(Inode inode) const;
  // Entries from `from` on (0: the beginning; . and .. are the caller's), until `visit`
  // returns false. Entries that are listed carry full attributes.
  absl::Status List(Inode directory, uint64_t from,
                    absl::FunctionRef<bool(const Entry&)> visit) const;
  // The directory that holds `directory`.
  absl::StatusOr<Inode> Parent(Inode directory) const;
  absl::StatusOr<std::string> ReadLink(Inode link) const;
  // At most `length` bytes from `offset`; fewer only at the end of the file.
  absl::StatusOr<Contents> Read(Inode file, uint64_t offset, uint64_t length) const;
  // lseek(2) SEEK_DATA and SEEK_HOLE.
  absl::StatusOr<uint64_t> SeekData(Inode file, uint64_t offset) const;
  absl::StatusOr<uint64_t> SeekHole(Inode file, uint64_t offset) const;

  // user.crfs.type, .id, .doc, .access, ... as docs/tree.md lists them.
  std::vector<std::string> ListXattrs(Inode inode) const;
  absl::StatusOr<std::string> GetXattr(Inode inode, absl::string_view name) const;

  // The inode at a path from the root, without following links in the middle or at the end.
  absl::StatusOr<Inode> Resolve(absl::string_view path) const;

  // For statfs(2): bytes of the image, and how many objects it holds.
  uint64_t image_size() const;
  uint64_t object_count() const;
  // The image's file, for Piece::Kind::kImage. Valid as long as the index.
  int image_fd() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_H_
