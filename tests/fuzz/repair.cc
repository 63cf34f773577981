// SPDX-License-Identifier: Apache-2.0

#include "tests/fuzz/repair.h"

#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "crfs/schema.h"
#include "index/crc32c.h"
#include "index/data_checksum.h"

namespace crfs {
namespace {

constexpr size_t kPageSize = 4096;

template <typename T>
T Load(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <typename T>
void Store(std::string& bytes, size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

uint32_t CrcOf(const std::string& bytes, size_t offset, size_t length) {
  return Crc32c(absl::string_view(bytes).substr(offset, length));
}

// What the records so far add up to.
struct Sums {
  uint64_t objects = 0;
  uint64_t extents = 0;
  uint64_t data = 0;
  size_t data_offset = 0;
  size_t data_length = 0;
};

void RepairExtents(std::string& bytes, size_t offset, size_t length, Sums& sums) {
  if (length < sizeof(crfs_extents)) return;
  const size_t count = (length - sizeof(crfs_extents)) / sizeof(crfs_extent);
  auto head = Load<crfs_extents>(bytes, offset);
  head.count = static_cast<uint32_t>(count);
  Store(bytes, offset, head);
  sums.extents += count;
  for (size_t i = 0; i < count; ++i) {
    const size_t place = offset + sizeof(crfs_extents) + i * sizeof(crfs_extent);
    sums.data += Load<crfs_extent>(bytes, place).length;
  }
}

void RepairChecksums(std::string& bytes, size_t offset, size_t length, const Sums& sums) {
  for (size_t i = 0; i < length / 4; ++i) {
    const size_t done = std::min<size_t>(i * CRFS_CHUNK_SIZE, sums.data_length);
    const size_t size = std::min<size_t>(CRFS_CHUNK_SIZE, sums.data_length - done);
    Store(bytes, offset + i * 4,
          DataChecksum(absl::string_view(bytes).substr(sums.data_offset + done, size)));
  }
}

void RepairEnd(std::string& bytes, size_t record, const Sums& sums) {
  crfs_end end{.objects = sums.objects,
               .extents = sums.extents,
               .data = sums.data,
               .size = record + sizeof(crfs_record) + sizeof(crfs_end)};
  const std::string digested = bytes.substr(0, sums.data_offset) +
                               bytes.substr(sums.data_offset + sums.data_length,
                                            record - sums.data_offset - sums.data_length);
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(digested.data(), digested.size()));
  std::memcpy(end.digest, digest.digest, sizeof(end.digest));
  Store(bytes, record + sizeof(crfs_record), end);
}

// Takes the zeros that should stand from `place` on, at most `count`.
size_t RepairFilling(std::string& bytes, size_t place, size_t count) {
  count = std::min(count, bytes.size() - place);
  std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(place), count, '\0');
  return place + count;
}

// Returns where the next record begins.
size_t RepairRecord(std::string& bytes, size_t start, Sums& sums) {
  auto record = Load<crfs_record>(bytes, start);
  const size_t body = start + sizeof(crfs_record);
  size_t next = 0;
  record.flags = 0;
  if (record.type == CRFS_RECORD_DATA) {
    record.length = sums.data;
    record.body_crc = 0;
    sums.data_offset = RepairFilling(bytes, body, -body % kPageSize);
    sums.data_length =
        static_cast<size_t>(std::min<uint64_t>(sums.data, bytes.size() - sums.data_offset));
    next = sums.data_offset + sums.data_length;
  } else {
    const auto length = static_cast<size_t>(std::min<uint64_t>(record.length, bytes.size() - body));
    if (record.type == CRFS_RECORD_EXTENTS) {
      RepairExtents(bytes, body, length, sums);
    } else if (record.type == CRFS_RECORD_CHECKSUMS) {
      RepairChecksums(bytes, body, length, sums);
    } else if (record.type == CRFS_RECORD_END && length == sizeof(crfs_end)) {
      RepairEnd(bytes, start, sums);
    } else {
      ++sums.objects;
    }
    record.length = length;
    record.body_crc = CrcOf(bytes, body, length);
    next = RepairFilling(bytes, body + length, -length % 8);
  }
  Store(bytes, start, record);
  record.header_crc = CrcOf(bytes, start, offsetof(crfs_record, header_crc));
  Store(bytes, start, record);
  return next;
}

}  // namespace

std::string RepairImage(std::string bytes) {
  if (bytes.size() < sizeof(crfs_image_header)) return bytes;
  crfs_image_header header{.format = CRFS_FORMAT_VERSION};
  std::memcpy(header.magic, CRFS_IMAGE_MAGIC, CRFS_IMAGE_MAGIC_SIZE);
  Store(bytes, 0, header);
  Store(bytes, offsetof(crfs_image_header, crc), CrcOf(bytes, 0, offsetof(crfs_image_header, crc)));
  Sums sums;
  size_t place = sizeof(header);
  while (bytes.size() - place >= sizeof(crfs_record)) place = RepairRecord(bytes, place, sums);
  return bytes;
}

}  // namespace crfs
