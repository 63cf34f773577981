// SPDX-License-Identifier: Apache-2.0

#include "index/verify.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <span>

#include "absl/strings/str_cat.h"
#include "index/byte_stream.h"
#include "index/image_reader.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// Counts what passes.
class CountingSource : public ByteSource {
 public:
  CountingSource(ByteSource* source, std::function<void(uint64_t)> counted)
      : source_(source), counted_(std::move(counted)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    auto count = source_->Read(buffer);
    if (count.ok() && counted_) counted_(done_ += *count);
    return count;
  }

 private:
  ByteSource* source_;
  std::function<void(uint64_t)> counted_;
  uint64_t done_ = 0;
};

// Only the reader's own checks count.
class NoVisitor : public ImageVisitor {
 public:
  absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
};

}  // namespace

absl::Status VerifyImage(const std::string& path,
                         const std::function<void(uint64_t done, uint64_t total)>& progress) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "standard input" : path;
  UniqueFd file;
  if (!is_stdin) {
    file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  }
  const int fd = is_stdin ? STDIN_FILENO : file.get();
  struct stat status;
  uint64_t total = 0;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    total = static_cast<uint64_t>(status.st_size);
  }
  FdSource source(fd, name);
  std::function<void(uint64_t)> counted;
  if (progress) counted = [&](uint64_t done) { progress(done, total); };
  CountingSource counting(&source, std::move(counted));
  NoVisitor visitor;
  return WithPath(ReadImage(counting, visitor), name);
}

}  // namespace crfs
