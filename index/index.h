// SPDX-License-Identifier: Apache-2.0
//
// The index of one image: a RocksDB database that finds objects by id, children by name,
// memory by offset. It is a cache: built from the image when it is missing, stale or
// damaged, shared by all who look at the same image, deleted without harm.

#ifndef CRFS_INDEX_INDEX_H_
#define CRFS_INDEX_INDEX_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crfs/image.h"
#include "index/record.h"

namespace crfs {

struct IndexOptions {
  // Where indexes are kept; empty: $XDG_CACHE_HOME/crfs, or $HOME/.cache/crfs.
  std::string directory;
  // Called now and then while an index is built: bytes of the image read, and all of them.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// An object that owns its body.
class Object {
 public:
  Object(const ObjectType& type, uint64_t id, std::string body);
  // Layout is checked where objects enter the index; DATA_LOSS if it no longer fits.
  static absl::StatusOr<Object> Make(const ObjectType& type, uint64_t id, std::string body);
  const ObjectView& view() const;

 private:
  std::unique_ptr<const std::string> body_;
  std::optional<ObjectView> view_;
};

// Bytes of an owner's memory that stand in the image.
struct SavedExtent {
  uint64_t offset;        // from the owner's start
  uint64_t length;        // bytes
  uint64_t image_offset;  // where they begin in the image
};

// Const calls may be made from any thread at once. Errors: NOT_FOUND; DATA_LOSS with the
// image's path if the image is damaged, shorter than it was, or has been changed. A damaged
// index is rebuilt on the spot and the call goes on.
class Index {
 public:
  // Opens the image and its index; builds the index if there is none that fits. Errors as
  // ReadImage gives them, with the image's path; or why the index cannot be kept, with what
  // to do.
  static absl::StatusOr<std::unique_ptr<Index>> Open(const std::string& image,
                                                     const IndexOptions& options);
  ~Index();

  absl::StatusOr<Object> Get(const ObjectType& type, uint64_t id) const;
  // The child of an owner (or, for types without owner, the object) with this key number.
  absl::StatusOr<uint64_t> FindKey(const ObjectType& type, uint64_t owner_id, uint64_t key) const;
  // Ids of all objects of a type that lie in one folder, by ascending key, from `key` on,
  // until `visit` returns false. owner_id is 0 for types without an owner.
  absl::Status ListKeys(const ObjectType& type, uint64_t owner_id, uint64_t key,
                        absl::FunctionRef<bool(uint64_t key, uint64_t id)> visit) const;
  // The one with the greatest key up to and with `key`; nullopt if there is none. `type` must
  // be found by a key number.
  struct KeyedId {
    uint64_t key;
    uint64_t id;
  };
  absl::StatusOr<std::optional<KeyedId>> FindKeyBefore(const ObjectType& type, uint64_t owner_id,
                                                       uint64_t key) const;
  // OK if there is such an object, else NOT_FOUND; cheaper than Get.
  absl::Status Exists(const ObjectType& type, uint64_t id) const;
  // The id of the only checkpoint object.
  uint64_t checkpoint_id() const;
  // How many objects of a type there are in the image.
  uint64_t Count(const ObjectType& type) const;
  // References in the image to one object.
  absl::StatusOr<uint64_t> CountRefs(const ObjectType& type, uint64_t id) const;
  // To whom an object belongs: the effective user of the tasks that refer to it (root if
  // they differ, or if the task is not dumpable), as /proc shows it.
  struct Owner {
    uid_t uid;
    gid_t gid;
  };
  absl::StatusOr<Owner> OwnerOf(const ObjectType& type, uint64_t id) const;
  // That of the root task.
  Owner main_owner() const;
  // Whether everything belongs to main_owner().
  bool one_owner() const;

  // The extent that holds `offset`, or else the next one after it; nullopt if there is none.
  absl::StatusOr<std::optional<SavedExtent>> FindExtent(const ObjectType& owner, uint64_t owner_id,
                                                        uint64_t offset) const;
  // All extents of one owner, ascending.
  absl::StatusOr<std::vector<SavedExtent>> ListExtents(const ObjectType& owner,
                                                       uint64_t owner_id) const;
  // Bytes saved of one owner's memory; of an mm, those of all its mappings.
  absl::StatusOr<uint64_t> SavedBytes(const ObjectType& owner, uint64_t owner_id) const;

  // Compares the data between two offsets of the image with its checksums: each chunk once,
  // and again when the file has been changed. What is not data is passed over. DATA_LOSS
  // names the image and the chunk, or says that the image has become too short.
  absl::Status VerifyData(uint64_t image_offset, uint64_t length) const;

  const std::string& image_path() const;
  // Names the image among all others: its uuid and digest, 32 bytes or less.
  std::string identity() const;
  int image_fd() const;
  uint64_t image_size() const;  // bytes
  uint32_t format() const;
  int64_t time_ns() const;  // when the checkpoint was taken, since the epoch

 private:
  class State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_INDEX_H_
