// SPDX-License-Identifier: Apache-2.0

#include "engine/kernel_records.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "index/crc32c.h"

namespace crfs {
namespace {

constexpr size_t kBufferSize = 1 << 20;

class RecordStream {
 public:
  explicit RecordStream(int fd) : source_(fd, "/dev/crfs") {}

  absl::Status ReadAll(Snapshot& snapshot) {
    for (;;) {
      if (absl::Status status = Fill(sizeof(crfs_record)); !status.ok()) return status;
      if (Ready().empty()) return absl::OkStatus();
      if (absl::Status status = ReadRecord(snapshot); !status.ok()) return status;
    }
  }

 private:
  absl::string_view Ready() const { return absl::string_view(buffer_).substr(begin_); }

  // Makes `length` bytes ready, fewer only at the end.
  absl::Status Fill(size_t length) {
    if (Ready().size() >= length) return absl::OkStatus();
    buffer_.erase(0, begin_);
    begin_ = 0;
    while (buffer_.size() < length) {
      const size_t before = buffer_.size();
      buffer_.resize(before + kBufferSize);
      const absl::StatusOr<size_t> got =
          source_.Read(std::span(buffer_.data() + before, kBufferSize));
      buffer_.resize(before + got.value_or(0));
      if (!got.ok()) return got.status();
      if (*got == 0) break;
    }
    return absl::OkStatus();
  }

  absl::Status Wrong(absl::string_view what) const {
    return absl::InternalError(
        absl::StrCat("/dev/crfs: ", what, ": the module does not fit this crfs: load its own"));
  }

  absl::Status ReadRecord(Snapshot& snapshot) {
    crfs_record record;
    if (Ready().size() < sizeof(record)) return Wrong("a record is cut short");
    std::memcpy(&record, Ready().data(), sizeof(record));
    if (record.header_crc != Crc32c(Ready().substr(0, offsetof(crfs_record, header_crc))) ||
        record.flags != 0 || record.length > CRFS_RECORD_BODY_MAX) {
      return Wrong("a record's header is wrong");
    }
    const size_t padded = (record.length + 7) / 8 * 8;
    if (absl::Status status = Fill(sizeof(record) + padded); !status.ok()) return status;
    if (Ready().size() < sizeof(record) + padded) return Wrong("a record is cut short");
    const absl::string_view body = Ready().substr(sizeof(record), record.length);
    if (record.body_crc != Crc32c(body)) return Wrong("a record's checksum is wrong");
    const absl::Status status = Take(record, body, snapshot);
    begin_ += sizeof(record) + padded;
    return status;
  }

  absl::Status Take(const crfs_record& record, absl::string_view body, Snapshot& snapshot) {
    if (record.type == CRFS_RECORD_EXTENTS) return TakeExtents(body, snapshot);
    const ObjectType* type = FindType(record.type);
    if (type == nullptr) return Wrong(absl::StrCat("a record has the unknown type ", record.type));
    const absl::StatusOr<uint64_t> id = snapshot.Add(*type, std::string(body));
    if (!id.ok()) return Wrong(id.status().message());
    if (*id != record.id)
      return Wrong(absl::StrCat(type->name, " ", record.id, " is out of order"));
    return absl::OkStatus();
  }

  absl::Status TakeExtents(absl::string_view body, Snapshot& snapshot) {
    crfs_extents head;
    if (body.size() < sizeof(head)) return Wrong("a record of extents is cut short");
    std::memcpy(&head, body.data(), sizeof(head));
    body.remove_prefix(sizeof(head));
    if (body.size() != head.count * sizeof(crfs_extent)) {
      return Wrong("a record of extents has another length than it says");
    }
    const ObjectType* owner = FindType(head.owner_type);
    if (owner == nullptr || head.owner_id == 0 || head.owner_id > snapshot.Count(*owner)) {
      return Wrong("a record of extents belongs to nothing");
    }
    for (uint32_t i = 0; i < head.count; ++i) {
      OwnedExtent owned = {head.owner_type, head.owner_id, {}};
      std::memcpy(&owned.extent, body.data() + i * sizeof(crfs_extent), sizeof(crfs_extent));
      snapshot.extents().push_back(owned);
    }
    return absl::OkStatus();
  }

  FdSource source_;
  std::string buffer_;
  size_t begin_ = 0;
};

}  // namespace

absl::Status ReadKernelRecords(int fd, Snapshot& snapshot) {
  return RecordStream(fd).ReadAll(snapshot);
}

}  // namespace crfs
