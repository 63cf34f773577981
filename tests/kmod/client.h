// SPDX-License-Identifier: Apache-2.0
//
// A bare client of /dev/crfs for the tests: descriptors, ioctls, and the stream taken apart.
// Independent of the libraries that crfs itself is made of.

#ifndef CRFS_TESTS_KMOD_CLIENT_H_
#define CRFS_TESTS_KMOD_CLIENT_H_

#include <crfs/image.h>
#include <crfs/ioctl.h>
#include <crfs/schema.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kmod_test {

// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

struct Extent {
  uint64_t offset;
  uint64_t length;
};

// One record of an object: its body is `head`, struct, tail.
struct Object {
  uint64_t id;
  std::string body;

  template <typename T>
  const T& As() const {
    return *reinterpret_cast<const T*>(body.data() + sizeof(crfs_body));
  }
  std::string_view Bytes(const crfs_bytes& bytes) const {
    return std::string_view(body).substr(bytes.offset, bytes.length);
  }
};

// A stream taken apart. Parse() checks all of the framing; `error` tells what is wrong.
struct Stream {
  std::map<uint32_t, std::vector<Object>> objects;  // by type
  std::map<std::pair<uint32_t, uint64_t>, std::vector<Extent>> extents;  // by owner
  uint64_t records = 0;
  uint64_t memory = 0;
  std::string error;

  const std::vector<Object>& Of(uint32_t type) { return objects[type]; }
  const Object& At(uint32_t type, uint64_t id) { return objects[type].at(id - 1); }
};
Stream Parse(std::string_view bytes);

uint32_t Crc32c(const void* bytes, size_t length);

// All return 0 (or a descriptor) or a negative errno.
class Checkpoint {
 public:
  Checkpoint();  // ok() is false if /dev/crfs does not answer
  bool ok() const { return fd_.ok(); }
  int fd() const { return fd_.get(); }
  int Freeze(pid_t pid, uint32_t timeout_ms = 0);  // opens /proc/PID/mem as the proof
  int FreezeWith(pid_t pid, int mem_fd, uint32_t timeout_ms = 0);
  int Capture();
  int Read(std::string* bytes);
  Fd Memory(uint32_t type, uint64_t id, int* error = nullptr);
  int Thaw();
  void Close() { fd_.Close(); }

  crfs_ioc_freeze freeze{};
  crfs_ioc_capture capture{};
  crfs_ioc_thaw thaw{};

 private:
  Fd fd_;
};

// Freezes, captures and parses; the checkpoint stays frozen. Stream::error on failure.
Stream Take(Checkpoint& checkpoint, const std::vector<pid_t>& pids);

}  // namespace kmod_test

#endif  // CRFS_TESTS_KMOD_CLIENT_H_
