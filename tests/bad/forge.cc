// SPDX-License-Identifier: Apache-2.0

#include "tests/bad/forge.h"

#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "crfs/schema.h"
#include "gtest/gtest.h"
#include "index/byte_stream.h"
#include "index/crc32c.h"
#include "index/data_checksum.h"
#include "index/image_reader.h"
#include "tests/generate/generate.h"

namespace crfs {
namespace {

template <typename T>
absl::string_view BytesOf(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof(object)};
}

class Collector : public ImageVisitor {
 public:
  explicit Collector(Forge* forge) : forge_(forge) {}
  absl::Status Object(const ObjectView& object, uint64_t) override {
    forge_->records.push_back({object.type().tag, object.id(), std::string(object.body())});
    return absl::OkStatus();
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    forge_->records.push_back(
        {CRFS_RECORD_EXTENTS, ++extents_, ExtentsBody(type, id, {extents.begin(), extents.end()})});
    return absl::OkStatus();
  }
  absl::Status Data(absl::string_view bytes) override {
    forge_->data.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

 private:
  Forge* forge_;
  uint64_t extents_ = 0;
};

void Append(std::string& image, absl::string_view bytes) {
  image.append(bytes.data(), bytes.size());
}

void AppendHeader(std::string& image, const Forge::Record& from, uint64_t length, uint32_t crc) {
  crfs_record record{
      .type = from.type, .flags = from.flags, .id = from.id, .length = length, .body_crc = crc};
  record.header_crc = Crc32c(BytesOf(record).substr(0, offsetof(crfs_record, header_crc)));
  Append(image, BytesOf(record));
}

void AppendRecord(std::string& image, const Forge::Record& record, char padding) {
  AppendHeader(image, record, record.body.size(), Crc32c(record.body));
  image += record.body;
  image.append(-record.body.size() % 8, padding);
}

}  // namespace

Forge::Forge(absl::string_view image) : format(CRFS_FORMAT_VERSION) {
  Collector collector(this);
  StringSource source(image);
  const absl::Status status = ReadImage(source, collector);
  EXPECT_TRUE(status.ok()) << status;
}

size_t Forge::Find(absl::string_view type, uint64_t id) const {
  const uint32_t tag = FindType(type)->tag;
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].type == tag && records[i].id == id) return i;
  }
  ADD_FAILURE() << "there is no " << type << " " << id;
  return 0;
}

Forge::Record& Forge::Get(absl::string_view type, uint64_t id) { return records[Find(type, id)]; }

Forge::Record& Forge::Extents(size_t n) {
  for (Record& record : records) {
    if (record.type == CRFS_RECORD_EXTENTS && n-- == 0) return record;
  }
  ADD_FAILURE() << "there are not as many extents";
  return records.back();
}

Forge& Forge::Set(absl::string_view type, uint64_t id, absl::string_view field, uint64_t number) {
  Record& record = Get(type, id);
  ObjectBuilder object(*ObjectView::Parse(*FindType(type), id, record.body));
  record.body = *object.SetNumber(field, number).Build();
  return *this;
}

Forge& Forge::Set(absl::string_view type, uint64_t id, absl::string_view field,
                  absl::string_view bytes) {
  Record& record = Get(type, id);
  ObjectBuilder object(*ObjectView::Parse(*FindType(type), id, record.body));
  record.body = *object.SetBytes(field, bytes).Build();
  return *this;
}

std::string Forge::Build() const {
  crfs_image_header header{.format = format};
  std::memcpy(header.magic, CRFS_IMAGE_MAGIC, CRFS_IMAGE_MAGIC_SIZE);
  header.crc = Crc32c(BytesOf(header).substr(0, offsetof(crfs_image_header, crc)));
  std::string image(reinterpret_cast<const char*>(&header), sizeof(header));
  crfs_end truth{};
  for (const Record& record : records) {
    AppendRecord(image, record, padding);
    if (record.type != CRFS_RECORD_EXTENTS) {
      ++truth.objects;
    } else if (record.body.size() >= sizeof(crfs_extents)) {
      truth.extents += (record.body.size() - sizeof(crfs_extents)) / sizeof(crfs_extent);
    }
  }
  AppendHeader(image, {CRFS_RECORD_DATA, 0, ""}, data_length.value_or(data.size()), 0);
  image.append(-image.size() % 4096, data_padding);
  const size_t before_data = image.size();
  image += data;
  std::vector<Record> checksums = tail;
  if (checksums.empty() && !data.empty()) {
    Record record{CRFS_RECORD_CHECKSUMS, 1, ""};
    for (size_t i = 0; i < data.size(); i += CRFS_CHUNK_SIZE) {
      const uint32_t checksum = DataChecksum(absl::string_view(data).substr(i, CRFS_CHUNK_SIZE));
      Append(record.body, BytesOf(checksum));
    }
    checksums.push_back(record);
  }
  for (const Record& record : checksums) AppendRecord(image, record, padding);
  truth.data = data.size();
  truth.size = image.size() + sizeof(crfs_record) + sizeof(crfs_end);
  const std::string digested =
      image.substr(0, before_data) + image.substr(before_data + data.size());
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(digested.data(), digested.size()));
  std::memcpy(truth.digest, digest.digest, sizeof(truth.digest));
  AppendRecord(image, {CRFS_RECORD_END, 0, std::string(BytesOf(end.value_or(truth)))}, padding);
  return image;
}

const std::string& SmallImage() {
  static const std::string& image = *[] {
    auto* bytes = new std::string;
    StringSink sink(bytes);
    EXPECT_TRUE(GenerateImage({.tasks = 4}, sink).ok());
    return bytes;
  }();
  return image;
}

std::string ExtentsBody(uint32_t owner_type, uint64_t owner_id,
                        const std::vector<crfs_extent>& extents) {
  const crfs_extents head{.owner_type = owner_type,
                          .count = static_cast<uint32_t>(extents.size()),
                          .owner_id = owner_id};
  std::string body(BytesOf(head));
  for (const crfs_extent& extent : extents) Append(body, BytesOf(extent));
  return body;
}

}  // namespace crfs
