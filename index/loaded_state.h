// SPDX-License-Identifier: Apache-2.0
//
// What a LoadedCheckpoint holds. For index/load*.cc and index/write_checkpoint.cc alone.

#ifndef CRFS_INDEX_LOADED_STATE_H_
#define CRFS_INDEX_LOADED_STATE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "index/data_copy.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// All objects of one type, by ascending id.
struct LoadedObjects {
  std::vector<uint64_t> ids;
  std::deque<std::string> bodies;  // the same place as in `ids`; they do not move
  std::vector<ObjectView> views;   // of `bodies`
};

// The saved memory of one owner.
struct SavedMemory {
  std::vector<LoadedExtent> extents;
  // Of a tree: its `pages`, from the root, and how long that is, bytes.
  std::string file;
  uint64_t file_size = 0;
  // Of a mounted tree, if it is as large as to be worth it: the same extents, those kImage that
  // stand in `image`.
  std::shared_ptr<const LoadedCheckpoint> image;
  std::vector<LoadedExtent> parts;
};

struct LoadedCheckpoint::State {
  explicit State(std::string path);

  // Objects must come by ascending id. DATA_LOSS if the layout of the body is wrong.
  absl::Status Add(const ObjectType& type, uint64_t id, std::string body);
  const SavedMemory* FindMemory(const ObjectView& owner) const;
  // The file that memory stands in; of an image, `saved` is not looked at.
  absl::StatusOr<std::shared_ptr<const UniqueFd>> OpenMemory(const SavedMemory* saved) const;
  std::string MemoryPath(const SavedMemory* saved) const;
  // From the root of the tree.
  std::string PathOf(const ObjectView& object) const;

  const std::string path;
  bool is_image = false;
  UniqueFd fd;                         // the image, or the root of the tree
  std::vector<LoadedObjects> objects;  // by ObjectType::index
  // By type tag and id, as in the image's table of extents.
  std::map<std::pair<uint32_t, uint64_t>, SavedMemory> memory;
  uint64_t memory_size = 0;
  // Of an image: where its data begins, and the checksum of each chunk.
  uint64_t data_offset = 0;
  std::vector<uint32_t> checksums;
  // Of a tree: the directories of objects that stand elsewhere than is usual, from the root,
  // by type tag and id.
  std::map<std::pair<uint32_t, uint64_t>, std::string> places;
  std::vector<std::string> leftovers;
  std::vector<Inherited> inherited;
};

// The data of the image that a checkpoint would be, read from where it stands. What comes
// from an image is compared with its checksums, so reads begin and end with chunks.
class LoadedData : public DataSource {
 public:
  // `state` must outlive it.
  explicit LoadedData(const LoadedCheckpoint::State* state);
  uint64_t size() const override;
  absl::Status Read(uint64_t offset, std::span<char> buffer) const override;

 private:
  struct Run {
    uint64_t begin;  // where it begins in the data
    uint64_t length;
    const SavedMemory* memory;  // whose file it is in
    uint64_t file_offset;
  };
  // Chunks of a memory that begins there, but stands elsewhere in the image, or not at all.
  void CompareWithImage(const SavedMemory& memory, uint64_t begin);
  void MarkOther(uint64_t begin, uint64_t length);
  absl::Status ReadImage(uint64_t offset, std::span<char> buffer) const;
  absl::Status ReadFiles(uint64_t offset, std::span<char> buffer) const;
  absl::Status CompareChecksums(uint64_t offset, std::span<const char> bytes) const;

  const LoadedCheckpoint::State* state_;
  // The image itself, or that behind a mounted tree, nullptr without one; and for each chunk,
  // whether it has that chunk in the same place.
  const LoadedCheckpoint::State* image_ = nullptr;
  std::vector<bool> same_;
  std::vector<Run> runs_;  // of a tree
};

}  // namespace crfs

#endif  // CRFS_INDEX_LOADED_STATE_H_
