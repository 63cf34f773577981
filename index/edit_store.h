// SPDX-License-Identifier: Apache-2.0
//
// Where the edits of a tree are kept: a RocksDB database with its log on, so that what has been
// written is there again however the process ends, and beside it a file for the contents of
// each large file. This is the one place that knows how they are laid out:
//
//   b                       Header: the layout, the image that the edits lie over, the next
//                           number
//   c inode                 contents: a value, a small file, the text of a link
//   d directory name        Entry: what has this name, or that nothing has
//   i inode                 NodeRecord
//   n tag id                how many more links there are to an object than the image has
//   r inode offset          a run of pages in one state: where it ends, the state
//   s directory number      the name of the entry with this number: the order of listing
//   x inode name            an extended attribute
//   z inode                 how long a large file is, bytes
//
// Numbers in keys are big-endian. Const calls may be made from any thread at once.

#ifndef CRFS_INDEX_EDIT_STORE_H_
#define CRFS_INDEX_EDIT_STORE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/tree.h"
#include "index/unique_fd.h"

namespace rocksdb {
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace crfs {

// What is known of a file or directory besides what the image and the schema say.
struct NodeRecord {
  enum Kind : uint8_t { kFile = 0, kDirectory = 1, kLink = 2 };
  uint8_t kind = kFile;
  // It stands under `name` in `parent`; else where its number says (index/inodes.h).
  bool is_placed = false;
  bool has_contents = false;  // in this store
  bool is_large = false;      // has a file of its own, and runs of pages
  bool is_whole = false;      // its contents were replaced as a whole: nothing of the image is left
  uint32_t mode = 0;          // permissions
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  Inode parent = 0;
  std::string name;
};

struct EditEntry {
  bool is_gone = false;  // the name that the image or the schema gives is there no more
  Inode inode = 0;
  uint64_t number = 0;  // unique in the store
};

enum class PageState : uint8_t {
  kImage = 0,  // as in the image; without one, nothing
  kData = 1,   // in the file
  kHole = 2,   // not saved
  kZero = 3,   // written as zeros
};
struct PageRun {
  uint64_t end;
  PageState state;
};
using PageRuns = std::map<uint64_t, PageRun>;  // by where they begin

// Changes that become true together.
class EditBatch {
 public:
  EditBatch();
  ~EditBatch();
  EditBatch(EditBatch&&) noexcept;

  void PutNode(Inode inode, const NodeRecord& record);
  void PutContents(Inode inode, absl::string_view contents);
  void DropContents(Inode inode);
  void PutEntry(Inode directory, absl::string_view name, const EditEntry& entry);
  void DropEntry(Inode directory, absl::string_view name, const EditEntry& entry);
  void PutXattr(Inode inode, absl::string_view name, absl::string_view value);
  void DropXattr(Inode inode, absl::string_view name);
  void PutRun(Inode inode, uint64_t offset, const PageRun& run);
  void DropRun(Inode inode, uint64_t offset);
  void PutSize(Inode inode, uint64_t size);
  // So many links more to an object; those of one batch add up.
  void AddRefs(uint32_t tag, uint64_t id, int64_t difference) { refs_[{tag, id}] += difference; }

 private:
  friend class EditStore;
  std::unique_ptr<rocksdb::WriteBatch> batch_;
  std::map<std::pair<uint32_t, uint64_t>, int64_t> refs_;
};

class EditStore {
 public:
  // `identity` is the image's (Index::identity), empty without one. Makes what is missing.
  // FAILED_PRECONDITION, DATA_LOSS as EditableTree::Open.
  static absl::StatusOr<std::unique_ptr<EditStore>> Open(const std::string& folder,
                                                         absl::string_view identity);
  ~EditStore();

  absl::StatusOr<std::optional<NodeRecord>> Node(Inode inode) const;
  absl::StatusOr<std::optional<std::string>> Contents(Inode inode) const;
  absl::StatusOr<std::optional<EditEntry>> Entry(Inode directory, absl::string_view name) const;
  // Those with a number of at least `from` that are not gone, by number.
  absl::Status ListEntries(
      Inode directory, uint64_t from,
      absl::FunctionRef<bool(absl::string_view name, uint64_t number)> visit) const;
  absl::StatusOr<std::optional<std::string>> Xattr(Inode inode, absl::string_view name) const;
  absl::StatusOr<std::vector<std::string>> Xattrs(Inode inode) const;
  absl::StatusOr<PageRuns> Runs(Inode inode) const;
  absl::StatusOr<std::optional<uint64_t>> Size(Inode inode) const;
  absl::StatusOr<int64_t> Refs(uint32_t tag, uint64_t id) const;

  // Adds to a batch that all goes which is known of the inodes from `first` to `last`, but for
  // their names elsewhere, and what the batch itself says.
  absl::Status DropNodes(Inode first, Inode last, EditBatch& batch) const;
  // The same of a folder that the schema gives, but for what is not in it any more: it stays
  // away, if the folder is made again.
  absl::Status DropFolder(Inode inode, EditBatch& batch) const;
  absl::Status Write(EditBatch& batch);
  // What was written is on the disk.
  absl::Status Sync();

  // Counted up; never again the same, also after a restart.
  absl::StatusOr<uint64_t> NextNumber();
  int64_t made_ns() const { return made_ns_; }

  // The file of a large inode; made if it is missing.
  absl::StatusOr<std::shared_ptr<const UniqueFd>> OpenData(Inode inode) const;
  void RemoveData(Inode inode) const;
  int folder() const { return folder_.get(); }

 private:
  absl::Status Drop(absl::string_view families, Inode first, Inode last, EditBatch& batch) const;
  EditStore() = default;
  absl::Status Load(absl::string_view identity);
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key) const;
  absl::Status Scan(
      absl::string_view from, absl::string_view prefix,
      absl::FunctionRef<bool(absl::string_view key, absl::string_view value)> visit) const;
  absl::Status RemoveOrphans() const;
  absl::Status Damaged(absl::string_view what) const;

  std::string path_;
  UniqueFd folder_;
  std::unique_ptr<rocksdb::DB> db_;
  std::string identity_;
  int64_t made_ns_ = 0;
  uint64_t next_ = 1;
  uint64_t reserved_ = 1;  // numbers below are taken, as the disk knows
};

}  // namespace crfs

#endif  // CRFS_INDEX_EDIT_STORE_H_
