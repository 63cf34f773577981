// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_UNIQUE_FD_H_
#define CRFS_INDEX_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace crfs {

// Owns one file descriptor, or none (-1), and closes it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives the descriptor to the caller, who must close it.
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace crfs

#endif  // CRFS_INDEX_UNIQUE_FD_H_
