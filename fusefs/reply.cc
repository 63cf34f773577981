// SPDX-License-Identifier: Apache-2.0

#include "fusefs/reply.h"

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "absl/container/inlined_vector.h"
#include "fusefs/log.h"

namespace crfs {
namespace {

// What holes are read from. Never written, so all of it is the kernel's one page of zeros.
constexpr size_t kZerosSize = 1 << 20;
alignas(4096) char zeros[kZerosSize];

}  // namespace

Reply::~Reply() {
  if (!answered()) Error(EIO);
}

fuse_req_t Reply::Take() {
  if (request_ == nullptr) std::abort();
  return std::exchange(request_, nullptr);
}

// Most results of fuse_reply_* are not used: whether it succeeds or not, the request is gone.

void Reply::Error(int error) { fuse_reply_err(Take(), error); }

void Reply::Failed(const absl::Status& status, int errno_of(const absl::Status&)) {
  const int error = errno_of(status);
  if (error == EIO) LogError(status.message());
  Error(error);
}

void Reply::Found(const Attributes& attributes, Belief belief) {
  const fuse_entry_param entry = EntryOf(attributes, belief);
  fuse_reply_entry(Take(), &entry);
}

void Reply::NotFound(double belief) {
  // An entry without an inode is one that the kernel remembers as missing.
  fuse_entry_param entry = {};
  entry.entry_timeout = belief;
  fuse_reply_entry(Take(), &entry);
}

void Reply::Attr(const Attributes& attributes, Belief belief) {
  const struct stat result = StatOf(attributes);
  fuse_reply_attr(Take(), &result, belief.attributes);
}

void Reply::Link(const std::string& target) { fuse_reply_readlink(Take(), target.c_str()); }

void Reply::Bytes(absl::string_view bytes) { fuse_reply_buf(Take(), bytes.data(), bytes.size()); }

void Reply::Data(const Contents& contents, int image_fd) {
  // The usual small file: one write, nothing to set up.
  if (contents.empty()) return Bytes({});
  if (contents.size() == 1 && contents[0].kind == Piece::Kind::kBytes) {
    return Bytes(contents[0].bytes);
  }
  absl::InlinedVector<fuse_buf, 8> buffers;
  for (const Piece& piece : contents) {
    if (piece.length == 0) continue;
    fuse_buf buffer = {};
    buffer.size = piece.length;
    switch (piece.kind) {
      case Piece::Kind::kBytes:
        buffer.mem = const_cast<char*>(piece.bytes.data());  // only read from
        break;
      case Piece::Kind::kImage:
      case Piece::Kind::kFile: {
        const bool image = piece.kind == Piece::Kind::kImage;
        buffer.flags =
            static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
        buffer.fd = image ? image_fd : piece.file->get();
        buffer.pos = static_cast<off_t>(image ? piece.image_offset : piece.file_offset);
        break;
      }
      case Piece::Kind::kZeros:
        buffer.mem = zeros;
        for (; buffer.size > kZerosSize; buffer.size -= kZerosSize) {
          buffers.push_back(buffer);
          buffers.back().size = kZerosSize;
        }
        break;
    }
    buffers.push_back(buffer);
  }
  if (buffers.empty()) return Bytes({});
  // fuse_bufvec ends in an array of one that is meant to be longer.
  const size_t size = sizeof(fuse_bufvec) + (buffers.size() - 1) * sizeof(fuse_buf);
  const std::unique_ptr<void, decltype(&std::free)> memory(std::calloc(1, size), &std::free);
  if (memory == nullptr) return Error(ENOMEM);
  auto* const vector = static_cast<fuse_bufvec*>(memory.get());
  vector->count = buffers.size();
  fuse_buf* next = vector->buf;
  for (const fuse_buf& buffer : buffers) *next++ = buffer;
  fuse_reply_data(Take(), vector, FUSE_BUF_SPLICE_MOVE);
}

void Reply::Xattr(absl::string_view value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(Take(), value.size());
  } else if (size < value.size()) {
    Error(ERANGE);
  } else {
    Bytes(value);
  }
}

void Reply::Offset(uint64_t offset) { fuse_reply_lseek(Take(), static_cast<off_t>(offset)); }

void Reply::Written(size_t size) { fuse_reply_write(Take(), size); }

bool Reply::Opened(const fuse_file_info& file) { return fuse_reply_open(Take(), &file) == 0; }

bool Reply::Created(const Attributes& attributes, Belief belief, const fuse_file_info& file) {
  const fuse_entry_param entry = EntryOf(attributes, belief);
  return fuse_reply_create(Take(), &entry, &file) == 0;
}

void Reply::FileSystem(const struct statvfs& numbers) { fuse_reply_statfs(Take(), &numbers); }

}  // namespace crfs
