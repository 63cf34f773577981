// SPDX-License-Identifier: Apache-2.0

#include "index/image_writer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/crc32c.h"
#include "index/data_checksum.h"
#include "index/image_checker.h"
#include "index/image_input.h"

namespace crfs {
namespace {

// Small writes are gathered up to this, bytes.
constexpr size_t kBufferSize = 256 << 10;

template <typename T>
absl::string_view BytesOf(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof(object)};
}

absl::Status OutOfOrder(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("image writer: ", what));
}

// What the checker finds wrong is the caller's fault here, not the image's.
absl::Status NotAccepted(absl::string_view what, const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return status;
  return OutOfOrder(absl::StrCat(what, ": ", status.message()));
}

}  // namespace

struct ImageWriter::State {
  enum class Phase { kStart, kObjects, kExtents, kData, kDone };

  explicit State(ByteSink* s) : sink(s) { buffer.reserve(kBufferSize); }

  absl::Status Flush() {
    if (buffer.empty()) return absl::OkStatus();
    if (phase != Phase::kData) digester.Add(buffer);
    absl::Status status = sink->Write(buffer);
    buffer.clear();
    return status;
  }

  absl::Status Append(absl::string_view bytes) {
    offset += bytes.size();
    if (buffer.size() + bytes.size() > kBufferSize) {
      if (absl::Status status = Flush(); !status.ok()) return status;
      if (bytes.size() >= kBufferSize) {
        if (phase != Phase::kData) digester.Add(bytes);
        return sink->Write(bytes);
      }
    }
    buffer.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

  absl::Status AppendZeros(size_t count) { return Append(std::string(count, '\0')); }

  static crfs_record Header(uint32_t type, uint64_t id, uint64_t length, uint32_t body_crc) {
    crfs_record record{.type = type, .flags = 0, .id = id, .length = length, .body_crc = body_crc};
    record.header_crc = Crc32c(BytesOf(record).substr(0, offsetof(crfs_record, header_crc)));
    return record;
  }

  absl::Status Record(uint32_t type, uint64_t id, absl::string_view body) {
    static constexpr char kZeros[8] = {};
    absl::Status status = Append(BytesOf(Header(type, id, body.size(), Crc32c(body))));
    if (status.ok()) status = Append(body);
    if (status.ok()) status = Append({kZeros, -body.size() % 8});
    return status;
  }

  absl::Status Begin() {
    crfs_image_header header{.format = CRFS_FORMAT_VERSION};
    std::memcpy(header.magic, CRFS_IMAGE_MAGIC, CRFS_IMAGE_MAGIC_SIZE);
    header.crc = Crc32c(BytesOf(header).substr(0, offsetof(crfs_image_header, crc)));
    phase = Phase::kObjects;
    return Append(BytesOf(header));
  }

  absl::Status EndObjects() {
    if (phase != Phase::kObjects) return OutOfOrder("no object has been written");
    phase = Phase::kExtents;
    return NotAccepted("objects", checker.EndObjects());
  }

  // Writes what stands in `pending` as one record.
  absl::Status FlushExtents() {
    if (pending.empty()) return absl::OkStatus();
    absl::Status status = checker.Extents(owner_type, owner_id, pending);
    if (!status.ok()) return NotAccepted(absl::StrCat("extents of object ", owner_id), status);
    const crfs_extents head{.owner_type = owner_type,
                            .count = static_cast<uint32_t>(pending.size()),
                            .owner_id = owner_id};
    std::string body(reinterpret_cast<const char*>(&head), sizeof(head));
    body.append(reinterpret_cast<const char*>(pending.data()),
                pending.size() * sizeof(crfs_extent));
    pending.clear();
    return Record(CRFS_RECORD_EXTENTS, ++extents_records, body);
  }

  absl::Status AddExtent(const crfs_extent& extent) {
    if (!pending.empty() && pending.back().offset + pending.back().length == extent.offset) {
      pending.back().length += extent.length;
      return absl::OkStatus();
    }
    if (pending.size() == CRFS_EXTENTS_MAX) {
      if (absl::Status status = FlushExtents(); !status.ok()) return status;
    }
    pending.push_back(extent);
    return absl::OkStatus();
  }

  absl::Status BeginData() {
    if (phase == Phase::kStart || phase == Phase::kObjects) {
      if (absl::Status status = EndObjects(); !status.ok()) return status;
    }
    if (phase != Phase::kExtents) return absl::OkStatus();
    absl::Status status = FlushExtents();
    if (status.ok()) {
      status = Append(BytesOf(Header(CRFS_RECORD_DATA, 0, checker.data(), 0)));
    }
    if (status.ok()) status = AppendZeros(-offset % checker.page_size());
    if (status.ok()) status = Flush();
    data_offset = offset;
    phase = Phase::kData;
    return status;
  }

  absl::Status AddData(absl::string_view bytes) {
    const uint64_t written = offset - data_offset;
    if (bytes.size() > checker.data() - written) return OutOfOrder("more data than extents");
    for (absl::string_view rest = bytes; !rest.empty();) {
      const size_t left = CRFS_CHUNK_SIZE - chunk_length;
      const absl::string_view piece = rest.substr(0, left);
      checksummer.Add(piece);
      chunk_length += piece.size();
      if (chunk_length == CRFS_CHUNK_SIZE) EndChunk();
      rest.remove_prefix(piece.size());
    }
    return Append(bytes);
  }

  absl::Status DataInPlace(std::vector<uint32_t> sums) {
    if (offset != data_offset) return OutOfOrder("some of the data is written already");
    if (sums.size() != (checker.data() + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE) {
      return OutOfOrder(absl::StrCat(sums.size(), " checksums for ", checker.data(), " bytes"));
    }
    checksums = std::move(sums);
    offset += checker.data();
    return sink->Skip(checker.data());
  }

  void EndChunk() {
    checksums.push_back(checksummer.Take());
    chunk_length = 0;
  }

  absl::Status Finish() {
    if (absl::Status status = BeginData(); !status.ok()) return status;
    if (phase != Phase::kData) return OutOfOrder("the image is finished");
    if (offset - data_offset != checker.data()) {
      return OutOfOrder(absl::StrCat("extents have ", checker.data(), " bytes, but ",
                                     offset - data_offset, " of data were written"));
    }
    if (chunk_length > 0) EndChunk();
    absl::Status status = Flush();
    phase = Phase::kDone;
    for (size_t i = 0; status.ok() && i < checksums.size(); i += CRFS_CHECKSUMS_MAX) {
      const size_t count = std::min<size_t>(checksums.size() - i, CRFS_CHECKSUMS_MAX);
      const absl::string_view body(reinterpret_cast<const char*>(checksums.data() + i),
                                   count * sizeof(uint32_t));
      status = Record(CRFS_RECORD_CHECKSUMS, i / CRFS_CHECKSUMS_MAX + 1, body);
    }
    if (status.ok()) status = Flush();
    if (!status.ok()) return status;
    crfs_end end{.objects = checker.objects(),
                 .extents = checker.extents(),
                 .data = checker.data(),
                 .size = offset + sizeof(crfs_record) + sizeof(crfs_end)};
    const Digest digest = digester.Get();
    std::memcpy(end.digest, digest.data(), digest.size());
    status = Record(CRFS_RECORD_END, 0, BytesOf(end));
    if (status.ok()) status = Flush();
    return status;
  }

  ByteSink* sink;
  Phase phase = Phase::kStart;
  ImageChecker checker;
  Digester digester;
  std::string buffer;
  uint64_t offset = 0;  // bytes of the image, those in the buffer included

  uint32_t owner_type = 0;
  uint64_t owner_id = 0;
  std::vector<crfs_extent> pending;  // of that owner
  uint64_t extents_records = 0;

  uint64_t data_offset = 0;
  DataChecksummer checksummer;
  uint32_t chunk_length = 0;
  std::vector<uint32_t> checksums;
};

ImageWriter::ImageWriter(ByteSink* sink) : state_(std::make_unique<State>(sink)) {}

ImageWriter::~ImageWriter() = default;

absl::Status ImageWriter::Object(const ObjectType& type, uint64_t id, absl::string_view body) {
  State& state = *state_;
  if (state.phase == State::Phase::kStart) {
    if (absl::Status status = state.Begin(); !status.ok()) return status;
  }
  // Only spelled out when something is wrong: there may be millions of objects.
  const auto what = [&] { return absl::StrCat(type.name, " ", id); };
  if (state.phase != State::Phase::kObjects) {
    return OutOfOrder(absl::StrCat(what(), ": objects come before extents and data"));
  }
  const auto view = ObjectView::Parse(type, id, body);
  if (!view.ok()) return NotAccepted(what(), view.status());
  absl::Status status = state.checker.Object(*view);
  if (!status.ok()) return NotAccepted(what(), status);
  return state.Record(type.tag, id, body);
}

absl::Status ImageWriter::Extents(uint32_t owner_type, uint64_t owner_id,
                                  std::span<const crfs_extent> extents) {
  State& state = *state_;
  if (state.phase == State::Phase::kStart || state.phase == State::Phase::kObjects) {
    if (absl::Status status = state.EndObjects(); !status.ok()) return status;
  }
  if (state.phase != State::Phase::kExtents) return OutOfOrder("extents come before data");
  if (owner_type != state.owner_type || owner_id != state.owner_id) {
    if (absl::Status status = state.FlushExtents(); !status.ok()) return status;
    state.owner_type = owner_type;
    state.owner_id = owner_id;
  }
  for (const crfs_extent& extent : extents) {
    if (absl::Status status = state.AddExtent(extent); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ImageWriter::BeginData() {
  if (absl::Status status = state_->BeginData(); !status.ok()) return status;
  return state_->data_offset;
}

absl::Status ImageWriter::Data(absl::string_view bytes) {
  if (absl::Status status = state_->BeginData(); !status.ok()) return status;
  if (state_->phase != State::Phase::kData) return OutOfOrder("the image is finished");
  return state_->AddData(bytes);
}

absl::Status ImageWriter::DataInPlace(std::vector<uint32_t> checksums) {
  if (absl::Status status = state_->BeginData(); !status.ok()) return status;
  if (state_->phase != State::Phase::kData) return OutOfOrder("the image is finished");
  return state_->DataInPlace(std::move(checksums));
}

absl::Status ImageWriter::Finish() { return state_->Finish(); }

}  // namespace crfs
