// SPDX-License-Identifier: Apache-2.0

#include "index/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "crfs/schema.h"
#include "index/crc32c.h"
#include "index/image_reader.h"

namespace crfs {
namespace {

constexpr uint64_t kEndSize = sizeof(crfs_record) + sizeof(crfs_end);
constexpr uint64_t kProgressStep = 8 << 20;

template <typename T>
absl::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

template <typename T>
std::span<char> SpanOf(T& value) {
  return {reinterpret_cast<char*>(&value), sizeof(value)};
}

bool HeaderIsRight(const crfs_record& record) {
  return record.header_crc == Crc32c(BytesOf(record).substr(0, offsetof(crfs_record, header_crc)));
}

bool RecordIsRight(const crfs_record& record, absl::string_view body) {
  return HeaderIsRight(record) && record.length == body.size() && record.body_crc == Crc32c(body);
}

}  // namespace

ImageFile::ImageFile(std::string path, UniqueFd fd, uint64_t size)
    : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

absl::StatusOr<ImageFile> ImageFile::Open(const std::string& path) {
  // O_NONBLOCK: a fifo must not hang, it is refused below.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a regular file: copy the image into one first"));
  }
  ImageFile image(path, std::move(fd), static_cast<uint64_t>(status.st_size));
  absl::Status identity = image.ReadIdentity();
  if (identity.ok()) return image;

  class : public ImageVisitor {
    absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
  } visitor;
  ImageFileSource source(&image, nullptr);
  const absl::Status whole = ReadImage(source, visitor, {.skip_data = true});
  if (whole.ok()) return identity;
  return absl::Status(whole.code(), absl::StrCat(path, ": ", whole.message()));
}

absl::Status ImageFile::Damaged(absl::string_view message) const {
  return absl::DataLossError(absl::StrCat(path_, ": ", message));
}

absl::Status ImageFile::ReadAt(std::span<char> buffer, uint64_t offset) const {
  while (!buffer.empty()) {
    const ssize_t count =
        ::pread(fd_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Damaged(absl::StrCat("offset ", offset, ": ", std::strerror(errno)));
    if (count == 0) {
      return Damaged(absl::StrCat("the image ends at offset ", offset,
                                  ": it has been cut short since it was opened"));
    }
    buffer = buffer.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ImageFile::ReadDigest(uint64_t size) const {
  struct {
    crfs_record record;
    crfs_end end;
  } last;
  static_assert(sizeof(last) == kEndSize);
  if (size < sizeof(crfs_image_header) + kEndSize) return Damaged("too short");
  if (auto status = ReadAt(SpanOf(last), size - kEndSize); !status.ok()) return status;
  if (last.record.type != CRFS_RECORD_END || !RecordIsRight(last.record, BytesOf(last.end)) ||
      last.end.size != size) {
    return Damaged("the END record is damaged");
  }
  return std::string(reinterpret_cast<const char*>(last.end.digest), sizeof(last.end.digest));
}

absl::Status ImageFile::ReadIdentity() {
  auto digest = ReadDigest(size_);
  if (!digest.ok()) return digest.status();
  digest_ = *std::move(digest);

  crfs_image_header header;
  if (auto status = ReadAt(SpanOf(header), 0); !status.ok()) return status;
  if (std::memcmp(header.magic, CRFS_IMAGE_MAGIC, CRFS_IMAGE_MAGIC_SIZE) != 0 ||
      header.format == 0 || header.format > CRFS_FORMAT_VERSION ||
      header.crc != Crc32c(BytesOf(header).substr(0, offsetof(crfs_image_header, crc)))) {
    return Damaged("the header is damaged");
  }
  format_ = header.format;

  // The first record is the checkpoint's: its tag is the lowest.
  const ObjectType& type = *FindType(CRFS_TAG_checkpoint);
  crfs_record record;
  if (auto status = ReadAt(SpanOf(record), sizeof(header)); !status.ok()) return status;
  const uint64_t offset = sizeof(header) + sizeof(record);
  auto body = ReadBody(type, record.id, offset, record.length);
  if (!body.ok()) return body.status();
  auto checkpoint = ObjectView::Parse(type, record.id, *body);
  if (!checkpoint.ok()) return Damaged(checkpoint.status().message());
  checkpoint_id_ = record.id;
  uuid_ = std::string(checkpoint->Bytes("uuid"));
  time_ns_ = static_cast<int64_t>(checkpoint->Number("time"));
  return absl::OkStatus();
}

absl::Status ImageFile::CheckUnchanged() const {
  struct stat status;
  if (::fstat(fd_.get(), &status) != 0) return Damaged(std::strerror(errno));
  if (static_cast<uint64_t>(status.st_size) == size_) {
    auto digest = ReadDigest(size_);
    if (digest.ok() && *digest == digest_) return absl::OkStatus();
  }
  return Damaged("the image has been changed since it was opened: open it again");
}

absl::StatusOr<std::string> ImageFile::ReadBody(const ObjectType& type, uint64_t id,
                                                uint64_t offset, uint64_t length) const {
  if (length > CRFS_RECORD_BODY_MAX || offset < sizeof(crfs_record)) {
    return Damaged(absl::StrCat("offset ", offset, ": no record can be here"));
  }
  crfs_record record;
  std::string body(length, '\0');
  const uint64_t begin = offset - sizeof(record);
  iovec parts[] = {{&record, sizeof(record)}, {body.data(), body.size()}};
  const ssize_t count = ::preadv(fd_.get(), parts, 2, static_cast<off_t>(begin));
  if (count != static_cast<ssize_t>(sizeof(record) + length)) {
    // Interrupted, or the end of the file: ReadAt goes on, or says which.
    if (auto status = ReadAt(SpanOf(record), begin); !status.ok()) return status;
    if (auto status = ReadAt(body, offset); !status.ok()) return status;
  }
  if (record.type != type.tag || record.id != id || !RecordIsRight(record, body)) {
    return Damaged(
        absl::StrCat("offset ", begin, ": the record of ", type.name, " ", id, " is damaged"));
  }
  return body;
}

// ---- ImageFileSource --------------------------------------------------------------------

absl::StatusOr<size_t> ImageFileSource::Read(std::span<char> buffer) {
  for (;;) {
    const ssize_t count =
        ::pread(image_->fd(), buffer.data(), buffer.size(), static_cast<off_t>(position_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat("offset ", position_));
    Advance(static_cast<uint64_t>(count));
    return static_cast<size_t>(count);
  }
}

absl::Status ImageFileSource::Skip(uint64_t length) {
  // What lies beyond the end is seen by the next Read.
  Advance(std::min(length, uint64_t{INT64_MAX} - position_));
  return absl::OkStatus();
}

void ImageFileSource::Advance(uint64_t length) {
  position_ += length;
  if (!progress_ || position_ == reported_) return;
  if (position_ - reported_ < kProgressStep && position_ < image_->size()) return;
  reported_ = position_;
  progress_(std::min(position_, image_->size()), image_->size());
}

}  // namespace crfs
