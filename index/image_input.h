// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_IMAGE_INPUT_H_
#define CRFS_INDEX_IMAGE_INPUT_H_

#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "index/byte_stream.h"

namespace crfs {

using Digest = std::array<uint8_t, 16>;

// XXH3, 128 bits, of bytes that come piece by piece.
class Digester {
 public:
  Digester();
  ~Digester() { XXH3_freeState(state_); }
  Digester(const Digester&) = delete;
  Digester& operator=(const Digester&) = delete;

  void Add(absl::string_view bytes);
  // Of all bytes so far, in canonical form.
  Digest Get() const;

 private:
  XXH3_state_t* state_;
};

// The bytes of an image, buffered, with their offset and the digest of those consumed. Not
// for use by several threads at once.
class ImageInput {
 public:
  // `source` must outlive it.
  explicit ImageInput(ByteSource* source);

  // Makes at least `length` bytes ready, fewer only if the source ends before. Errors are
  // the source's. The buffer grows to the greatest length ever asked for.
  absl::Status Fill(size_t length);
  // What can be consumed; valid until the next Fill or Skip.
  absl::string_view ready() const { return {buffer_.get() + begin_, end_ - begin_}; }
  // `length` bytes of ready().
  void Consume(size_t length);
  // Passes over bytes, ready or not, which must not be part of the digest.
  absl::Status Skip(uint64_t length);

  // How many bytes have been consumed.
  uint64_t offset() const { return offset_; }
  // Whether bytes consumed from now on are part of the digest; they are at first.
  void SetDigesting(bool digesting);
  Digest GetDigest();

 private:
  // Digests what was consumed and is still in the buffer: in pieces as big as possible.
  void DigestConsumed();

  ByteSource* source_;
  Digester digester_;
  size_t capacity_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t digested_ = 0;  // consumed bytes before this are digested
  bool digesting_ = true;
  uint64_t offset_ = 0;
};

}  // namespace crfs

#endif  // CRFS_INDEX_IMAGE_INPUT_H_
