// SPDX-License-Identifier: Apache-2.0
//
// An image in a regular file, open for reading: which image it is, and its records by
// offset. Only pread is used, so that a file that shrinks gives an error and no signal.
// Const calls may be made from any thread at once. All errors name the file: DATA_LOSS if
// it is damaged, shorter than it was, or another image than it was.

#ifndef CRFS_INDEX_IMAGE_FILE_H_
#define CRFS_INDEX_IMAGE_FILE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/byte_stream.h"
#include "index/record.h"
#include "index/unique_fd.h"

namespace crfs {

class ImageFile {
 public:
  // Looks at the header, the first record and the END record alone. If they are not right,
  // the whole image is read to say best what is wrong with it.
  static absl::StatusOr<ImageFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  uint64_t size() const { return size_; }  // when it was opened, bytes
  uint32_t format() const { return format_; }
  const std::string& digest() const { return digest_; }  // of the END record, 16 bytes
  uint64_t checkpoint_id() const { return checkpoint_id_; }
  const std::string& uuid() const { return uuid_; }  // 16 bytes, or empty
  int64_t time_ns() const { return time_ns_; }

  // OK if the file still is the image that it was when opened, as far as its size and END
  // record tell.
  absl::Status CheckUnchanged() const;
  // Fills `buffer` from `offset`.
  absl::Status ReadAt(std::span<char> buffer, uint64_t offset) const;
  // The body, at `offset`, of the record of one object; its checksums are compared.
  absl::StatusOr<std::string> ReadBody(const ObjectType& type, uint64_t id, uint64_t offset,
                                       uint64_t length) const;

  // DATA_LOSS with the file's name before the message.
  absl::Status Damaged(absl::string_view message) const;

 private:
  ImageFile(std::string path, UniqueFd fd, uint64_t size);
  absl::Status ReadIdentity();
  absl::StatusOr<std::string> ReadDigest(uint64_t size) const;

  std::string path_;
  UniqueFd fd_;
  uint64_t size_;
  uint32_t format_ = 0;
  std::string digest_;
  uint64_t checkpoint_id_ = 0;
  std::string uuid_;
  int64_t time_ns_ = 0;
};

// Reads an image from its beginning, whatever else is read from the file meanwhile. Calls
// `progress`, if there is one, with the bytes read or passed over, and with all of them.
// `image` must outlive it.
class ImageFileSource : public ByteSource {
 public:
  ImageFileSource(const ImageFile* image, std::function<void(uint64_t, uint64_t)> progress)
      : image_(image), progress_(std::move(progress)) {}
  absl::StatusOr<size_t> Read(std::span<char> buffer) override;
  absl::Status Skip(uint64_t length) override;

 private:
  void Advance(uint64_t length);

  const ImageFile* image_;
  std::function<void(uint64_t, uint64_t)> progress_;
  uint64_t position_ = 0;
  uint64_t reported_ = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_FILE_H_
