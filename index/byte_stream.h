// SPDX-License-Identifier: Apache-2.0
//
// Where images come from and go to: files, pipes, memory. Implementations are not for use
// by several threads at once.

#ifndef CRFS_INDEX_BYTE_STREAM_H_
#define CRFS_INDEX_BYTE_STREAM_H_

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/unique_fd.h"

namespace crfs {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Reads up to buffer.size() bytes; 0 only at the end. Errors name the file.
  virtual absl::StatusOr<size_t> Read(std::span<char> buffer) = 0;
  // Passes over `length` bytes. The default reads them; a seekable source seeks, and then a
  // skip beyond the end is seen by the next Read.
  virtual absl::Status Skip(uint64_t length);
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Writes all of it. Errors name the file.
  virtual absl::Status Write(absl::string_view bytes) = 0;
  // Leaves out `length` bytes that stand there already. UNIMPLEMENTED for what cannot seek.
  virtual absl::Status Skip(uint64_t length);
};

// Reads a descriptor that the caller owns and keeps open; `name` is for messages.
class FdSource : public ByteSource {
 public:
  FdSource(int fd, std::string name);
  absl::StatusOr<size_t> Read(std::span<char> buffer) override;
  absl::Status Skip(uint64_t length) override;

 private:
  int fd_;
  std::string name_;
  bool seekable_;
};

// Likewise for writing.
class FdSink : public ByteSink {
 public:
  FdSink(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  absl::Status Write(absl::string_view bytes) override;

 private:
  int fd_;
  std::string name_;
};

// Reads memory that must outlive it.
class StringSource : public ByteSource {
 public:
  explicit StringSource(absl::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<size_t> Read(std::span<char> buffer) override;

 private:
  absl::string_view bytes_;
};

// Appends to a string that must outlive it.
class StringSink : public ByteSink {
 public:
  explicit StringSink(std::string* out) : out_(out) {}
  absl::Status Write(absl::string_view bytes) override;

 private:
  std::string* out_;
};

// A file that appears under its name whole or not at all: written beside it, synced,
// renamed over it by Commit. Without Commit, nothing is left. "-" is standard output; that
// and what is no regular file (a device, a fifo) is written to directly. Only the owner may
// read a new file. Errors name the file.
class NewFile : public ByteSink {
 public:
  static absl::StatusOr<NewFile> Create(std::string path);
  NewFile(NewFile&&) noexcept;
  NewFile& operator=(NewFile&&) noexcept;
  ~NewFile() override;

  absl::Status Write(absl::string_view bytes) override;
  absl::Status Skip(uint64_t length) override;
  // For writers in place (pwrite) and for reading back; -1 is never returned.
  int fd() const { return fd_.get(); }
  absl::Status Commit();

 private:
  NewFile(std::string path, std::string temporary, bool rename, UniqueFd fd);

  std::string path_;
  std::string temporary_;  // to be removed; empty: the file has no name yet, or its last one
  bool rename_;            // whether Commit has to give it its name
  UniqueFd fd_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_BYTE_STREAM_H_
