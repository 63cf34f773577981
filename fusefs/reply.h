// SPDX-License-Identifier: Apache-2.0
//
// The answer to one request of the kernel.

#ifndef CRFS_FUSEFS_REPLY_H_
#define CRFS_FUSEFS_REPLY_H_

#include <sys/statvfs.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "fusefs/attributes.h"
#include "fusefs/errno.h"
#include "fusefs/fuse.h"
#include "index/tree.h"

namespace crfs {

// Answers one request exactly once: by one of the calls below, or with EIO when it is
// dropped without an answer. A second answer is a bug and aborts. Reply is the only part of
// crfs that calls fuse_reply_*. If the kernel no longer wants the answer (the caller was
// killed, the file system is gone), it is dropped silently.
class Reply {
 public:
  explicit Reply(fuse_req_t request) : request_(request) {}
  Reply(Reply&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  ~Reply();

  bool answered() const { return request_ == nullptr; }

  // `error` is an errno, positive.
  void Error(int error);
  // The errno of a failed status; what becomes EIO is also logged, with its words.
  void Failed(const absl::Status& status, int errno_of(const absl::Status&) = &ErrnoOf);

  // What was asked for has been done, and there is nothing to say about it.
  void Done() { Error(0); }
  // Answers to lookup: found, and not there, which the kernel may believe for so many seconds.
  void Found(const Attributes& attributes, Belief belief);
  void NotFound(double belief);
  void Attr(const Attributes& attributes, Belief belief);
  void Link(const std::string& target);
  // Memory: directory entries, the beginning of a file.
  void Bytes(absl::string_view bytes);
  // A part of a file. What lies in the image is moved from `image_fd` without a copy where
  // the kernel can.
  void Data(const Contents& contents, int image_fd);
  // A value or a list of names, for a caller that has room for `size` bytes; 0 asks how
  // many there are.
  void Xattr(absl::string_view value, size_t size);
  void Offset(uint64_t offset);
  void Written(size_t size);
  // Answers to open and create. False: whoever opened it is gone, and there will be no release.
  bool Opened(const fuse_file_info& file);
  bool Created(const Attributes& attributes, Belief belief, const fuse_file_info& file);
  void FileSystem(const struct statvfs& numbers);

 private:
  // The request, to be answered by the caller.
  fuse_req_t Take();

  fuse_req_t request_;
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_REPLY_H_
