// SPDX-License-Identifier: Apache-2.0
//
// Writes an image as a stream, in canonical form. Memory is bounded by one record.

#ifndef CRFS_INDEX_IMAGE_WRITER_H_
#define CRFS_INDEX_IMAGE_WRITER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "index/byte_stream.h"
#include "index/schema.h"

namespace crfs {

// Calls come in the order of the image: objects by type and id, extents by owner and
// offset, then the data of all extents in their order, then Finish. FAILED_PRECONDITION
// names a call that is out of order or that does not fit what came before; the image is
// then not to be used. Not for use by several threads at once.
class ImageWriter {
 public:
  // `sink` must outlive the writer.
  explicit ImageWriter(ByteSink* sink);
  ~ImageWriter();
  ImageWriter(const ImageWriter&) = delete;
  ImageWriter& operator=(const ImageWriter&) = delete;

  // `body` as ObjectBuilder::Build gives it.
  absl::Status Object(const ObjectType& type, uint64_t id, absl::string_view body);
  // One owner may take several calls. Extents that touch are merged.
  absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                       std::span<const crfs_extent> extents);
  // Any pieces; together as long as all extents.
  absl::Status Data(absl::string_view bytes);
  // Instead of Data: the caller has put all of the data in its place by himself, and gives
  // the crc32c of each CRFS_CHUNK_SIZE of it. The sink must be able to Skip.
  absl::Status DataInPlace(std::vector<uint32_t> checksums);
  absl::Status Finish();

  // Offset of the first byte of data in the image; to be asked once extents are complete.
  // Ends the table of extents.
  absl::StatusOr<uint64_t> BeginData();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_WRITER_H_
