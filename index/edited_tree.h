// SPDX-License-Identifier: Apache-2.0
//
// The EditableTree: what its source files share. For index/edited_*.cc alone.
//
// A directory entry that the store knows comes first; a name without one is what the image or
// the schema give. An inode number says where a file stands (index/inodes.h) unless its record
// says otherwise (NodeRecord::is_placed): of what was made, a number is counted up for each
// object's directory or scratch file, and the places below it are as in an image.

#ifndef CRFS_INDEX_EDITED_TREE_H_
#define CRFS_INDEX_EDITED_TREE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "index/edit_memory.h"
#include "index/edit_store.h"
#include "index/editable_tree.h"
#include "index/inodes.h"
#include "index/mutex.h"
#include "index/shape.h"

namespace crfs {

inline constexpr size_t kNameMax = 255;          // bytes
inline constexpr uint64_t kValueMax = 16 << 20;  // bytes that the file of a row holds

// What stands at a place of the tree, by its name and what it lies in.
struct Role {
  enum class Kind {
    kFolder,   // a fixed folder, or one in an object's directory: `node`
    kObject,   // the directory of an object
    kRow,      // the file of a row: `node`
    kScratch,  // nothing that the schema knows
  };
  Kind kind = Kind::kScratch;
  const ObjectType* type = nullptr;  // of kObject, and of what lies in an object's directory
  const ShapeNode* node = nullptr;   // in ShapeOf(type), or in RootShape(); of all but kScratch
  Inode object = 0;                  // the object's directory; 0: in a fixed folder
  bool is_directory() const { return kind == Kind::kFolder || kind == Kind::kObject; }
  const Row* row() const { return kind == Kind::kRow ? node->row : nullptr; }
  const Shape& shape() const { return type == nullptr ? RootShape() : ShapeOf(*type); }
  // The number that the schema gives to what stands here; of kFolder and kRow.
  Inode given() const { return object == 0 ? FixedInode(node->place) : object | node->place; }
};

// A file or directory as it is now.
struct EditNode {
  Inode inode = 0;
  Role role;
  NodeRecord record;
  bool has_record = false;
  bool is_beneath = false;  // it is of the image, or a fixed folder above one

  bool is_directory() const {
    return role.is_directory() || (has_record && record.kind == NodeRecord::kDirectory);
  }
};

class EditedTree final : public EditableTree {
 public:
  EditedTree(const Index* base, std::unique_ptr<EditStore> store);
  ~EditedTree() override;

  absl::StatusOr<Attributes> Lookup(Inode directory, absl::string_view name) const override;
  absl::StatusOr<Attributes> Stat(Inode inode) const override;
  absl::Status List(Inode directory, uint64_t from,
                    absl::FunctionRef<bool(const Entry&)> visit) const override;
  absl::StatusOr<Inode> Parent(Inode directory) const override;
  absl::StatusOr<std::string> ReadLink(Inode link) const override;
  std::vector<std::string> ListXattrs(Inode inode) const override;
  absl::StatusOr<std::string> GetXattr(Inode inode, absl::string_view name) const override;
  bool IsComputed(Inode inode) const override;
  absl::StatusOr<Attributes> MakeDirectory(Inode directory, absl::string_view name, mode_t mode,
                                           Caller caller) override;
  absl::StatusOr<Attributes> MakeLink(Inode directory, absl::string_view name,
                                      absl::string_view target, Caller caller) override;
  absl::StatusOr<Created> Create(Inode directory, absl::string_view name, mode_t mode,
                                 bool exclusive, bool truncate, Caller caller) override;
  absl::StatusOr<std::unique_ptr<OpenFile>> Open(Inode file, bool write, bool truncate) override;
  absl::Status Unlink(Inode directory, absl::string_view name) override;
  absl::Status RemoveDirectory(Inode directory, absl::string_view name) override;
  absl::Status Rename(Inode directory, absl::string_view name, Inode new_directory,
                      absl::string_view new_name, unsigned flags) override;
  absl::StatusOr<Attributes> SetAttributes(Inode inode, const AttributeChanges& changes) override;
  absl::Status SetXattr(Inode inode, absl::string_view name, absl::string_view value,
                        int flags) override;
  absl::Status RemoveXattr(Inode inode, absl::string_view name) override;
  absl::Status Sync() override { return store_->Sync(); }
  absl::StatusOr<Space> Measure() const override;
  int image_fd() const override { return base_ == nullptr ? -1 : base_->image_fd(); }

 private:
  friend class EditedFile;

  // --- edited_tree.cc: what is there ---
  absl::StatusOr<EditNode> NodeOf(Inode inode) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<EditNode> DirectoryOf(Inode inode) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<EditNode> Find(const EditNode& directory, absl::string_view name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // What the image and the schema give to a name.
  absl::StatusOr<EditNode> FindGiven(const EditNode& directory, absl::string_view name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Role> RoleOf(Inode inode, const std::optional<NodeRecord>& record) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  static Role Classify(const EditNode& directory, absl::string_view name, Inode inode);
  absl::StatusOr<Attributes> StatNode(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Attributes> GivenAttributes(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Inode> ParentOf(const EditNode& node) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // From the root, without a slash at its beginning.
  absl::StatusOr<std::string> PathOf(Inode directory) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<EditNode> FindPath(absl::string_view path) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The same from a directory.
  absl::StatusOr<EditNode> FindBelow(Inode directory, absl::string_view path) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> NameOf(const EditNode& directory) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status ListGiven(const EditNode& directory, uint64_t from, bool& go_on,
                         absl::FunctionRef<bool(const Entry&)> visit) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  // --- edited_values.cc: what files hold ---
  // Of a file that is no memory.
  absl::StatusOr<std::string> TextOf(const EditNode& node) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> LinkOf(const EditNode& node) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> ComputedText(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The file that a row of another object shows.
  absl::StatusOr<EditNode> ShownBy(const EditNode& node) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> PagemapText(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool HasLink(Inode object, absl::string_view field) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The value in the form in which it is kept; nullopt: it is what the file says already, or is
  // not kept.
  absl::StatusOr<std::optional<std::string>> CheckValue(const EditNode& node,
                                                        absl::string_view text) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool IsMemoryNode(const EditNode& node) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<EditMemory>> MemoryOf(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // How long the memory of a vma or shmem is to be; nullopt: not yet known.
  absl::StatusOr<std::optional<uint64_t>> MemorySize(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status StoreText(EditNode node, absl::string_view text, bool keep_times)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FlushText(Inode inode, absl::string_view text, bool only_cut, bool keep_times);
  void SetError(Inode inode, const absl::Status& status) const;

  // --- edited_changes.cc: names and attributes ---
  NodeRecord NewRecord(NodeRecord::Kind kind, const EditNode& directory, absl::string_view name,
                       mode_t mode, Caller caller) const;
  // A record with what the node has now.
  absl::StatusOr<NodeRecord> RecordOf(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The directory, in which the name leads nowhere yet.
  absl::StatusOr<EditNode> FindRoom(Inode directory, absl::string_view name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<EditNode> Place(const EditNode& directory, absl::string_view name,
                                 const NodeRecord& record, absl::string_view contents)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Enter(const EditNode& directory, absl::string_view name, Inode inode,
                     EditBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a name away; what it led to goes too, unless `keep`.
  absl::Status Remove(const EditNode& directory, absl::string_view name, const EditNode& node,
                      bool keep, EditBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckEmpty(const EditNode& directory) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status CountLink(const EditNode& node, absl::string_view text, int64_t difference,
                         EditBatch& batch) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status BecomeRow(const EditNode& source, const EditNode& place, EditBatch& batch,
                         NodeRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetMemory(Inode inode) const;
  std::optional<std::string> ImageXattrOf(const EditNode& node) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::optional<std::string> SchemaXattrOf(const EditNode& node, absl::string_view name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const Index* const index_;
  const std::unique_ptr<const Tree> base_;  // nullptr: a new tree
  const std::unique_ptr<EditStore> store_;
  // Lock order: this, then that of an EditMemory, then those below.
  mutable Mutex mutex_;
  mutable Mutex memories_mutex_;
  mutable absl::flat_hash_map<Inode, std::weak_ptr<EditMemory>> memories_
      ABSL_GUARDED_BY(memories_mutex_);
  mutable Mutex errors_mutex_;
  mutable absl::flat_hash_map<Inode, std::string> errors_ ABSL_GUARDED_BY(errors_mutex_);
};

}  // namespace crfs

#endif  // CRFS_INDEX_EDITED_TREE_H_
