// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_TESTS_GENERATE_COPIER_H_
#define CRFS_TESTS_GENERATE_COPIER_H_

#include <span>

#include "absl/status/status.h"
#include "index/byte_stream.h"
#include "index/image_reader.h"
#include "index/image_writer.h"

namespace crfs {

// Writes the parts of an image as they are read.
class Copier : public ImageVisitor {
 public:
  // `sink` must outlive it.
  explicit Copier(ByteSink* sink) : writer_(sink) {}

  absl::Status Object(const ObjectView& object, uint64_t) override {
    return writer_.Object(object.type(), object.id(), object.body());
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    return writer_.Extents(type, id, extents);
  }
  absl::Status DataBegins(uint64_t offset, uint64_t) override {
    const auto begun = writer_.BeginData();
    if (!begun.ok() || *begun == offset) return begun.status();
    return absl::InternalError("the data of the copy begins elsewhere");
  }
  absl::Status Data(absl::string_view bytes) override { return writer_.Data(bytes); }
  absl::Status End(const crfs_end&) override { return writer_.Finish(); }

 private:
  ImageWriter writer_;
};

inline absl::Status CopyImage(ByteSource& source, ByteSink& sink) {
  Copier copier(&sink);
  return ReadImage(source, copier);
}

}  // namespace crfs

#endif  // CRFS_TESTS_GENERATE_COPIER_H_
