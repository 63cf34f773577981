// SPDX-License-Identifier: Apache-2.0

#include "index/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/edit_error.h"

namespace crfs {
namespace {

// read(2) and write(2) do not take more than this at once.
constexpr size_t kPiece = size_t{1} << 30;

absl::Status Failed(absl::string_view name, absl::string_view what, int error) {
  return WithErrno(absl::ErrnoToStatus(error, absl::StrCat(name, ": ", what)), error);
}

absl::Status WriteAll(int fd, absl::string_view name, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failed(name, "cannot write", errno);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ByteSink::Skip(uint64_t) {
  return absl::UnimplementedError("what has to be written in order cannot leave bytes out");
}

absl::Status ByteSource::Skip(uint64_t length) {
  std::array<char, 64 << 10> buffer;
  while (length > 0) {
    const auto count = static_cast<size_t>(std::min<uint64_t>(length, buffer.size()));
    auto read = Read(std::span(buffer).first(count));
    if (!read.ok()) return read.status();
    if (*read == 0) break;
    length -= *read;
  }
  return absl::OkStatus();
}

FdSource::FdSource(int fd, std::string name) : fd_(fd), name_(std::move(name)) {
  struct stat status;
  seekable_ = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (seekable_) ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

absl::StatusOr<size_t> FdSource::Read(std::span<char> buffer) {
  for (;;) {
    const ssize_t count = ::read(fd_, buffer.data(), std::min(buffer.size(), kPiece));
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return Failed(name_, "cannot read", errno);
  }
}

absl::Status FdSource::Skip(uint64_t length) {
  if (!seekable_) return ByteSource::Skip(length);
  const off_t here = ::lseek(fd_, 0, SEEK_CUR);
  struct stat status;
  if (here < 0 || ::fstat(fd_, &status) != 0) return Failed(name_, "cannot seek", errno);
  // Not beyond the end: an offset that does not fit off_t would be another error.
  const auto left = static_cast<uint64_t>(std::max<off_t>(status.st_size - here, 0));
  const auto step = static_cast<off_t>(std::min(length, left));
  if (::lseek(fd_, here + step, SEEK_SET) < 0) return Failed(name_, "cannot seek", errno);
  return absl::OkStatus();
}

absl::Status FdSink::Write(absl::string_view bytes) { return WriteAll(fd_, name_, bytes); }

absl::StatusOr<size_t> StringSource::Read(std::span<char> buffer) {
  const size_t count = std::min(buffer.size(), bytes_.size());
  if (count > 0) std::memcpy(buffer.data(), bytes_.data(), count);
  bytes_.remove_prefix(count);
  return count;
}

absl::Status StringSink::Write(absl::string_view bytes) {
  out_->append(bytes.data(), bytes.size());
  return absl::OkStatus();
}

// ---- NewFile ----------------------------------------------------------------------------

namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The name of `number`th choice beside `path`.
std::string BesideName(const std::string& path, int number) {
  const size_t slash = path.rfind('/');
  const size_t base = slash == std::string::npos ? 0 : slash + 1;
  return absl::StrCat(path.substr(0, base), ".", path.substr(base, 200), ".", ::getpid(), ".",
                      number, ".tmp");
}

constexpr int kChoices = 1000;

}  // namespace

NewFile::NewFile(std::string path, std::string temporary, bool rename, UniqueFd fd)
    : path_(std::move(path)),
      temporary_(std::move(temporary)),
      rename_(rename),
      fd_(std::move(fd)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      rename_(std::exchange(other.rename_, false)),
      fd_(std::move(other.fd_)) {}

NewFile& NewFile::operator=(NewFile&& other) noexcept {
  if (this == &other) return *this;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  path_ = std::move(other.path_);
  temporary_ = std::exchange(other.temporary_, {});
  rename_ = std::exchange(other.rename_, false);
  fd_ = std::move(other.fd_);
  return *this;
}

NewFile::~NewFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::StatusOr<NewFile> NewFile::Create(std::string path) {
  if (path == "-") {
    UniqueFd fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!fd.valid()) return Failed("standard output", "cannot open", errno);
    return NewFile("standard output", "", /*rename=*/false, std::move(fd));
  }
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return Failed(path, "cannot create", EISDIR);
    if (!S_ISREG(status.st_mode)) {
      // A device or a fifo is written to, not replaced.
      UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
      if (!fd.valid()) return Failed(path, "cannot open", errno);
      return NewFile(std::move(path), "", /*rename=*/false, std::move(fd));
    }
    // Behind a symbolic link, the file is replaced, not the link.
    char* resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return Failed(path, "cannot create", errno);
    path = resolved;
    ::free(resolved);
  }
  // An image holds the memory of programs: it is its owner's alone.
  constexpr mode_t kMode = 0600;
  // A file without a name is gone even if this process is killed.
  UniqueFd fd(::open(FolderOf(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode));
  if (fd.valid()) return NewFile(std::move(path), "", /*rename=*/true, std::move(fd));
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return Failed(path, "cannot create", errno);
  }
  for (int i = 0; i < kChoices; ++i) {
    std::string temporary = BesideName(path, i);
    fd.reset(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
    if (fd.valid()) {
      return NewFile(std::move(path), std::move(temporary), /*rename=*/true, std::move(fd));
    }
    if (errno != EEXIST) break;
  }
  return Failed(path, "cannot create", errno);
}

absl::Status NewFile::Write(absl::string_view bytes) { return WriteAll(fd_.get(), path_, bytes); }

absl::Status NewFile::Skip(uint64_t length) {
  if (::lseek(fd_.get(), static_cast<off_t>(length), SEEK_CUR) < 0) {
    return Failed(path_, "cannot seek", errno);
  }
  return absl::OkStatus();
}

absl::Status NewFile::Commit() {
  if (!rename_) return absl::OkStatus();
  if (::fsync(fd_.get()) != 0) return Failed(path_, "cannot write", errno);
  if (temporary_.empty()) {
    // Only rename replaces a file, so the nameless one needs a name for a moment.
    const std::string self = absl::StrCat("/proc/self/fd/", fd_.get());
    for (int i = 0; i < kChoices; ++i) {
      std::string name = BesideName(path_, i);
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        temporary_ = std::move(name);
        break;
      }
      if (errno != EEXIST) break;
    }
    if (temporary_.empty()) return Failed(path_, "cannot create", errno);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return Failed(path_, "cannot create", errno);
  }
  temporary_.clear();
  rename_ = false;
  const UniqueFd folder(::open(FolderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) {
    return Failed(path_, "cannot sync its folder", errno);
  }
  return absl::OkStatus();
}

}  // namespace crfs
