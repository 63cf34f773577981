// SPDX-License-Identifier: Apache-2.0
//
// Reads an image as a stream (crfs/image.h, docs/image-format.md) and checks all of it on
// the way: checksums, canonical order and layout, references, counts, digest. Memory is
// bounded by one record (CRFS_RECORD_BODY_MAX) and what the rules that span records need:
// 16 bytes a task, some 3 bytes a mapping, 4 bytes a chunk of data.

#ifndef CRFS_INDEX_IMAGE_READER_H_
#define CRFS_INDEX_IMAGE_READER_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/byte_stream.h"
#include "index/record.h"

namespace crfs {

// Receives the parts of an image in the order in which they stand. Views and spans are
// valid during the call only. An error ends the reading and is returned by ReadImage.
class ImageVisitor {
 public:
  virtual ~ImageVisitor() = default;
  // `offset` is that of the record's body in the image.
  virtual absl::Status Object(const ObjectView& object, uint64_t offset) = 0;
  // A part of the extents of one owner (type tag and id), in ascending order.
  virtual absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                               std::span<const crfs_extent> extents);
  // Before the first byte of data: where it begins in the image, and how long it is.
  virtual absl::Status DataBegins(uint64_t offset, uint64_t length);
  // The data, piece by piece; not called if data is skipped.
  virtual absl::Status Data(absl::string_view bytes);
  // One crc32c a CRFS_CHUNK_SIZE of data, in order; all calls but the last are full.
  virtual absl::Status Checksums(std::span<const uint32_t> checksums);
  // The whole image has been read and is right.
  virtual absl::Status End(const crfs_end& end);
};

struct ReadOptions {
  // Passes over the data instead of reading it (its checksums are then not compared). The
  // source should be seekable.
  bool skip_data = false;
};

// Reads one image from its first to its last byte; anything after it is an error.
// DATA_LOSS: damaged or truncated, with the offset and what is wrong. INVALID_ARGUMENT: not
// an image. UNIMPLEMENTED: a newer format, or another architecture. RESOURCE_EXHAUSTED: more
// than this program can check. Errors of the source and of the visitor come as they are.
// Messages do not name the file: callers do, with WithPath.
absl::Status ReadImage(ByteSource& source, ImageVisitor& visitor, const ReadOptions& options = {});

// The same status with `path: ` before its message, unless it begins with that already, as
// errors of a source do.
absl::Status WithPath(const absl::Status& status, absl::string_view path);

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_READER_H_
