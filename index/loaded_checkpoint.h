// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint whose metadata has been read into memory, from an image or from a directory
// that holds its tree: what commit, restart and diff work on. Memory stays where it is.

#ifndef CRFS_INDEX_LOADED_CHECKPOINT_H_
#define CRFS_INDEX_LOADED_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/record.h"
#include "index/schema.h"
#include "index/unique_fd.h"

namespace crfs {

// A range of one owner's saved memory, and where its bytes stand in a file.
struct LoadedExtent {
  enum class Place : uint8_t {
    kOwnFile,  // LoadedMemory::fd
    kImage,    // LoadedMemory::image_fd, that of the image behind a mounted tree
  };
  uint64_t offset;       // from the owner's start
  uint64_t length;       // bytes
  uint64_t file_offset;  // in the file that `place` tells
  Place place = Place::kOwnFile;
};

// The saved memory of one vma or shmem object. An extent may go on beyond the end of a
// `pages` file, to the end of its last page: what is not there is zero.
struct LoadedMemory {
  int fd = -1;                        // of an image, or of a `pages` file; -1 if nothing is saved
  int image_fd = -1;                  // lives as long as the checkpoint
  std::vector<LoadedExtent> extents;  // ascending, those that touch merged
  // What owns `fd` if the checkpoint does not: valid as long as both.
  std::shared_ptr<const UniqueFd> file;
};

// A descriptor whose `file` is a link to `inherit/N`: who restarts it gives it his own
// descriptor N in place of a file.
struct Inherited {
  uint64_t fd_id;  // object id, of type fd; its row `file` is 0
  int number;
};

// What is wrong with a checkpoint, in the words of a message: `PATH: what is wrong: what to
// do`.
using Problems = std::vector<std::string>;

// Const calls may be made from any thread at once. No thread outlives a call, so that who
// loads a checkpoint may fork afterwards.
class LoadedCheckpoint {
 public:
  using Progress = std::function<void(uint64_t done, uint64_t total)>;

  // Reads an image as ReadImage does, with its errors; the checksums of its memory are
  // compared by VerifyMemory alone.
  static absl::StatusOr<LoadedCheckpoint> FromImage(const std::string& path);
  // Reads the tree that stands in a directory: mounted by crfs, or any copy of one. Whatever
  // is wrong is added to `problems`, with the path of the file at fault; unless there is
  // none, the result is not to be used. A status other than OK is for a directory that
  // cannot be read at all.
  static absl::StatusOr<LoadedCheckpoint> FromTree(const std::string& directory,
                                                   Problems& problems);
  // The one of the two that `path` is.
  static absl::StatusOr<LoadedCheckpoint> Open(const std::string& path, Problems& problems);

  LoadedCheckpoint(LoadedCheckpoint&&) noexcept;
  LoadedCheckpoint& operator=(LoadedCheckpoint&&) noexcept;
  ~LoadedCheckpoint();

  const std::string& path() const;  // as it was given, without slashes at its end
  bool is_image() const;

  // Ids of all objects of a type, ascending.
  std::span<const uint64_t> Ids(const ObjectType& type) const;
  std::span<const uint64_t> Ids(absl::string_view type) const;
  bool Has(const ObjectType& type, uint64_t id) const;
  // The object must exist. Valid as long as the checkpoint.
  ObjectView Get(const ObjectType& type, uint64_t id) const;
  ObjectView Get(absl::string_view type, uint64_t id) const;
  // Ids of the objects of `type` that an owner holds, by ascending key; they are consecutive.
  std::span<const uint64_t> Owned(const ObjectType& type, uint64_t owner_id) const;
  std::span<const uint64_t> Owned(absl::string_view type, uint64_t owner_id) const;

  // For messages: where an object, or the file of one of its rows, stands:
  // TREE/tasks/981/threads/981/regs/rip, or IMAGE: tasks/981/threads/981/regs/rip.
  std::string Where(const ObjectView& object) const;
  std::string Where(const ObjectView& object, absl::string_view field) const;

  // Files and folders of a tree that no row stands for, such as `.comm.XXXXXX` of a copy that
  // was broken off; they count for nothing.
  const std::vector<std::string>& leftovers() const;
  // Of a tree: descriptors that are to be the caller's own, by ascending id.
  const std::vector<Inherited>& inherited() const;

  // Of a vma or shmem object; empty if nothing is saved.
  absl::StatusOr<LoadedMemory> Memory(const ObjectView& owner) const;
  // The same, for who calls VerifyMemory as well before the bytes count: what a mounted tree has
  // as its image has it is read from there.
  absl::StatusOr<LoadedMemory> UnverifiedMemory(const ObjectView& owner) const;
  // Bytes of memory saved, of all owners.
  uint64_t memory_size() const;
  // Compares all memory that UnverifiedMemory takes from an image with the checksums there. A
  // tree has none, and its mount compares what is read through it. DATA_LOSS names the image
  // and what is damaged.
  absl::Status VerifyMemory(const Progress& progress = nullptr) const;

  // For index/ alone.
  struct State;
  const State& state() const { return *state_; }

 private:
  explicit LoadedCheckpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes the canonical image: of what FromImage has read, byte for byte that image. `output`
// as in NewFile: whole or not at all. Errors name the output or the memory that cannot be
// read; FAILED_PRECONDITION a descriptor that is to be inherited, which no image can say.
absl::Status WriteCheckpoint(const LoadedCheckpoint& checkpoint, const std::string& output,
                             const LoadedCheckpoint::Progress& progress = nullptr);

}  // namespace crfs

#endif  // CRFS_INDEX_LOADED_CHECKPOINT_H_
