// SPDX-License-Identifier: Apache-2.0
//
// The parts of Tree that its source files share: from inode numbers to what they stand for,
// and its attributes. For index/tree*.cc alone.

#ifndef CRFS_INDEX_TREE_STATE_H_
#define CRFS_INDEX_TREE_STATE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/index.h"
#include "index/inodes.h"
#include "index/memory.h"
#include "index/object_cache.h"
#include "index/row_files.h"
#include "index/shape.h"
#include "index/text_cache.h"
#include "index/tree.h"

namespace crfs {

// What an inode number stands for. Says nothing about whether the object exists.
struct Place {
  enum class Kind {
    kFixed,      // node of RootShape()
    kObject,     // node of ShapeOf(type), of object `id`
    kViews,      // .views
    kBlob,       // .views/blob
    kTaskViews,  // .views/PID of task `id`
    kTaskView,   // a file in it
  };
  Kind kind;
  const ObjectType* type = nullptr;
  uint64_t id = 0;
  const ShapeNode* node = nullptr;
  ViewPlace view = kViewsPlace;

  bool is_directory() const {
    if (kind == Kind::kFixed || kind == Kind::kObject) return node->row == nullptr;
    return kind == Kind::kViews || kind == Kind::kTaskViews;
  }
};

class Tree::State {
 public:
  State(const Index* index, TreeOptions options)
      : index(index), options(options), objects(index), rows(index, &objects) {}

  // NOT_FOUND if no file can have this number.
  static absl::StatusOr<Place> Locate(Inode inode);

  // Of fixed folders, of a directory of an object that exists, and of a row of it.
  absl::StatusOr<Attributes> FixedAttributes(const ShapeNode& node) const;
  absl::StatusOr<Attributes> DirectoryAttributes(const ObjectType& type, uint64_t id,
                                                 const ShapeNode& node) const;
  absl::StatusOr<Attributes> RowAttributes(const std::shared_ptr<const Object>& object,
                                           const ShapeNode& node) const;
  absl::StatusOr<Attributes> ViewAttributes(const Place& place) const;

  // The types whose objects' directories stand in a directory, and the owner's id.
  struct Folder {
    std::span<const ObjectType* const> types;
    uint64_t owner_id = 0;
  };
  static Folder FolderOf(const Place& place);
  // The id of the object with this name in a folder; NOT_FOUND.
  absl::StatusOr<uint64_t> FindChild(const ObjectType& type, uint64_t owner_id,
                                     absl::string_view name) const;
  // The attributes of the directory of an object in a folder (in .views, that of its views).
  absl::StatusOr<Attributes> ChildAttributes(const Place& folder, const ObjectType& type,
                                             uint64_t id) const;
  absl::Status ListChildren(const Place& folder, uint64_t from,
                            absl::FunctionRef<bool(const Entry&)> visit) const;

  // What is shown at a row's node.
  absl::StatusOr<ShownRow> Show(const Place& place) const;
  // The text of a row other than memory, or a link; `inode` is that of its file.
  absl::StatusOr<std::shared_ptr<const std::string>> RowText(Inode inode,
                                                             const ShownRow& shown) const;
  // The text of a view other than memory.
  absl::StatusOr<std::shared_ptr<const std::string>> ViewText(const Place& place) const;
  // The memory that a file shows, or nullptr if it shows none.
  absl::StatusOr<std::unique_ptr<Memory>> MemoryOf(const Place& place) const;
  // Id of the address space of a task, 0 without one.
  absl::StatusOr<uint64_t> MmOf(uint64_t task_id) const;

  const Index* const index;
  const TreeOptions options;
  const ObjectCache objects;
  const RowFiles rows;

 private:
  Attributes Base(Inode inode, mode_t mode, Index::Owner owner) const;

  mutable TextCache texts_;  // of views, and of rows that take long to make
};

// What the schema says of a file, as extended attributes: their names after this prefix, and the
// value of one, if the file has it.
inline constexpr absl::string_view kXattrsPrefix = "user.crfs.";
inline constexpr absl::string_view kSchemaXattrs[] = {"type",   "id",      "doc",
                                                      "access", "restart", "codec"};
std::optional<std::string> SchemaXattr(const Place& place, absl::string_view name);

inline absl::Status NoSuchFile() { return absl::NotFoundError("there is no such file"); }
inline absl::Status NotADirectory() { return absl::FailedPreconditionError("not a directory"); }
inline absl::Status NotAFile() { return absl::FailedPreconditionError("not a regular file"); }

inline constexpr char kViewsName[] = ".views";
inline constexpr char kBlobName[] = "blob";
struct ViewFile {
  ViewPlace place;
  absl::string_view name;
  absl::string_view doc;
};
inline constexpr ViewFile kViewFiles[] = {
    {kMapsPlace, "maps", "the mappings, as /proc/PID/maps shows them"},
    {kMemPlace, "mem", "the saved memory by address, sparse, as /proc/PID/mem"},
    {kStatusPlace, "status", "the lines of /proc/PID/status that the checkpoint knows"},
};

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_STATE_H_
