// SPDX-License-Identifier: Apache-2.0

#include "index/index_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/index_builder.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

constexpr char kTemporary[] = ".tmp";
constexpr char kLock[] = ".lock";

// All of them fail by return, not by exception.
void RemoveAll(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

int MakeDirectories(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      struct stat status;
      // A part that is there may be on a file system that cannot be written.
      if (::stat(part.c_str(), &status) != 0) return errno;
    }
    if (end == std::string::npos) break;
  }
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return errno;
  return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
}

// Opens and locks `path`; an invalid descriptor, and errno, if that is not possible.
UniqueFd Lock(const std::string& path, int how) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fd;
  while (::flock(fd.get(), how) != 0) {
    if (errno == EINTR) continue;
    const int error = errno;
    fd.reset();
    errno = error;
    break;
  }
  return fd;
}

// Removes what crashes have left of other builds: those whose lock nobody holds.
void RemoveLeftovers(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    if (!absl::EndsWith(path, kTemporary)) continue;
    const std::string base = path.substr(0, path.size() - (sizeof(kTemporary) - 1));
    const UniqueFd lock = Lock(base + kLock, LOCK_EX | LOCK_NB);
    if (lock.valid()) RemoveAll(path);
  }
}

// Gives the folder `from` the name `to`. What has that name is left as `from`, or removed.
int PutInPlace(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return 0;
  // There is none, or the file system cannot exchange. Who opens in between finds nothing,
  // and waits for our lock.
  RemoveAll(to);
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

std::string HexOf(const std::string& bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace

std::string DefaultIndexDirectory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return absl::StrCat(cache, "/crfs");
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.cache/crfs");
  return "";
}

IndexCache::IndexCache(const ImageFile* image, std::string directory, std::string name,
                       std::function<void(uint64_t, uint64_t)> progress)
    : image_(image),
      directory_(std::move(directory)),
      path_(absl::StrCat(directory_, "/", name)),
      progress_(std::move(progress)) {}

absl::StatusOr<IndexCache> IndexCache::Create(const ImageFile* image, std::string directory,
                                              std::function<void(uint64_t, uint64_t)> progress) {
  if (directory.empty()) directory = DefaultIndexDirectory();
  if (directory.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(image->path(),
                     ": there is no place to keep its index: neither XDG_CACHE_HOME nor HOME is "
                     "set: name a folder with --index DIR"));
  }
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  const std::string name = absl::StrCat(HexOf(image->uuid()), "-", HexOf(image->digest()));
  return IndexCache(image, std::move(directory), name, std::move(progress));
}

absl::Status IndexCache::Unkeepable(absl::StatusCode code, absl::string_view what) const {
  return absl::Status(code, absl::StrCat(directory_, ": the index cannot be kept here: ", what,
                                         ": name a folder that can be written with --index DIR"));
}

absl::StatusOr<OpenedIndex> IndexCache::TryOpen() const {
  auto database = Database::Open(path_);
  if (!database.ok()) return database.status();
  auto bytes = (*database)->Get(IndexKey::Meta());
  if (!bytes.ok()) return absl::AbortedError(bytes.status().message());
  auto meta = DecodeMeta(*bytes);
  if (!meta.has_value() || meta->format != image_->format() || meta->image_size != image_->size() ||
      meta->digest != image_->digest()) {
    return absl::AbortedError("the index is not that of the image");
  }
  return OpenedIndex{*std::move(database), *std::move(meta)};
}

absl::StatusOr<OpenedIndex> IndexCache::OpenOrBuild() const {
  auto opened = TryOpen();
  if (opened.ok()) return opened;
  return Build(false);
}

absl::StatusOr<OpenedIndex> IndexCache::Rebuild() const { return Build(true); }

absl::StatusOr<OpenedIndex> IndexCache::Build(bool even_if_there) const {
  if (const int error = MakeDirectories(directory_); error != 0) {
    return Unkeepable(absl::ErrnoToStatusCode(error), std::strerror(error));
  }
  const UniqueFd lock = Lock(path_ + kLock, LOCK_EX);
  if (!lock.valid()) {
    const int error = errno;
    return Unkeepable(absl::ErrnoToStatusCode(error), std::strerror(error));
  }
  if (!even_if_there) {
    // Somebody may have built it while we waited for the lock.
    auto opened = TryOpen();
    if (opened.ok()) return opened;
  }
  RemoveLeftovers(directory_);
  const std::string temporary = path_ + kTemporary;
  RemoveAll(temporary);  // ours is locked, by us
  if (::mkdir(temporary.c_str(), 0700) != 0) {
    const int error = errno;
    return Unkeepable(absl::ErrnoToStatusCode(error), std::strerror(error));
  }
  const absl::Cleanup remove = [&temporary] { RemoveAll(temporary); };
  bool index_at_fault = false;
  if (auto status = BuildIndex(*image_, temporary, progress_, &index_at_fault); !status.ok()) {
    return index_at_fault ? Unkeepable(status.code(), status.message()) : status;
  }
  if (const int error = PutInPlace(temporary, path_); error != 0) {
    return Unkeepable(absl::ErrnoToStatusCode(error), std::strerror(error));
  }
  auto opened = TryOpen();
  if (absl::IsAborted(opened.status())) {
    return Unkeepable(
        absl::StatusCode::kUnavailable,
        absl::StrCat("it is damaged as soon as it is written: ", opened.status().message()));
  }
  return opened;
}

}  // namespace crfs
