// SPDX-License-Identifier: Apache-2.0
//
// Inode numbers. They are computed, not handed out: the number of a file says which file it
// is, so nothing has to be remembered for a number that the kernel (or a client of NFS,
// from before a restart) knows, and it is the same at each mount of an image.
//
//   8 bits   0: fixed folders; 1 + ObjectType::index: what lies in an object's directory;
//            254: what was made in an editable tree; 255: .views
//   44 bits  the object's id; 0 for fixed folders and for .views itself; of .views/PID the
//            task's id; of what was made, a number counted up
//   12 bits  the place within that directory (index/shape.h, ViewPlace); of fixed folders
//            one more, so that the root is number 1 and there is no number 0
//
// Any number may come in, from a hostile client: Split takes all of them, and what it gives
// need not exist.

#ifndef CRFS_INDEX_INODES_H_
#define CRFS_INDEX_INODES_H_

#include <cstdint>

#include "crfs/image.h"
#include "index/schema.h"
#include "index/tree.h"

namespace crfs {

inline constexpr uint8_t kEditsArea = 254;
inline constexpr uint8_t kViewsArea = 255;

enum ViewPlace : uint16_t {
  // with id 0
  kViewsPlace = 1,  // .views
  kBlobPlace = 2,   // .views/blob
  // with the id of a task
  kTaskViewsPlace = 16,  // .views/PID
  kMapsPlace = 17,
  kMemPlace = 18,
  kStatusPlace = 19,
};

struct InodeParts {
  uint8_t area;
  uint64_t id;
  uint16_t place;
};

inline InodeParts Split(Inode inode) {
  return {static_cast<uint8_t>(inode >> 56), (inode >> 12) & CRFS_ID_MAX,
          static_cast<uint16_t>(inode & 0xfff)};
}
inline Inode MakeInode(uint8_t area, uint64_t id, uint16_t place) {
  return uint64_t{area} << 56 | id << 12 | place;
}
inline Inode ObjectInode(const ObjectType& type, uint64_t id, uint16_t place) {
  return MakeInode(static_cast<uint8_t>(type.index + 1), id, place);
}
// Whether it is of an object of the image.
inline bool IsInImage(Inode inode) {
  const uint8_t area = Split(inode).area;
  return area != 0 && area < kEditsArea;
}
inline Inode FixedInode(uint16_t place) { return uint64_t{place} + 1; }
inline Inode ViewInode(uint64_t task_id, ViewPlace place) {
  return MakeInode(kViewsArea, task_id, place);
}

}  // namespace crfs

#endif  // CRFS_INDEX_INODES_H_
