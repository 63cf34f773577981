// SPDX-License-Identifier: Apache-2.0

#include "index/tree_contents.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace crfs {
namespace {

constexpr uint64_t kStep = 1 << 20;

absl::Status WriteFileRange(int fd, uint64_t offset, uint64_t length, ByteSink& out) {
  std::string buffer;
  while (length > 0) {
    buffer.resize(std::min<uint64_t>(length, kStep));
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "cannot be read");
    if (got == 0) return absl::DataLossError("has become shorter");
    buffer.resize(static_cast<size_t>(got));
    if (absl::Status status = out.Write(buffer); !status.ok()) return status;
    offset += static_cast<uint64_t>(got);
    length -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::Status WritePiece(int image_fd, const Piece& piece, ByteSink& out) {
  switch (piece.kind) {
    case Piece::Kind::kBytes:
      return out.Write(piece.bytes);
    case Piece::Kind::kZeros:
      return out.Write(std::string(piece.length, '\0'));
    case Piece::Kind::kImage:
      return WriteFileRange(image_fd, piece.image_offset, piece.length, out);
    case Piece::Kind::kFile:
      return WriteFileRange(piece.file->get(), piece.file_offset, piece.length, out);
  }
  return absl::InternalError("a piece of no kind");
}

}  // namespace

bool IsMemory(const Tree& tree, Inode file) {
  return tree.GetXattr(file, "user.crfs.codec").value_or("") == "pages";
}

absl::Status CopyContents(const Tree& tree, const Attributes& file, ByteSink& out) {
  for (uint64_t offset = 0; offset < file.size;) {
    const absl::StatusOr<Contents> contents = tree.Read(file.inode, offset, kStep);
    if (!contents.ok()) return contents.status();
    const uint64_t before = offset;
    for (const Piece& piece : *contents) {
      if (absl::Status status = WritePiece(tree.image_fd(), piece, out); !status.ok())
        return status;
      offset += piece.length;
    }
    if (offset == before) return absl::DataLossError("the file is shorter than its size");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadContents(const Tree& tree, const Attributes& file) {
  std::string text;
  StringSink sink(&text);
  if (absl::Status status = CopyContents(tree, file, sink); !status.ok()) return status;
  return text;
}

absl::Status AppendContents(const Contents& contents, int image_fd, std::string* bytes) {
  StringSink sink(bytes);
  for (const Piece& piece : contents) {
    if (absl::Status status = WritePiece(image_fd, piece, sink); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crfs
