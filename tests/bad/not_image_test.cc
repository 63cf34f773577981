// SPDX-License-Identifier: Apache-2.0
//
// Files that are no images, and streams that never end: told apart at once, in bounded
// memory.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "index/crc32c.h"
#include "index/image_reader.h"
#include "index/verify.h"
#include "tests/bad/forge.h"
#include "tests/generate/values.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

class NoVisitor : public ImageVisitor {
 public:
  absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
};

// A beginning, then the same byte for ever; counts what was asked of it.
class EndlessSource : public ByteSource {
 public:
  EndlessSource(std::string beginning, char byte) : beginning_(std::move(beginning)), byte_(byte) {}
  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    const size_t left = beginning_.size() - std::min<uint64_t>(read_, beginning_.size());
    std::memset(buffer.data(), byte_, buffer.size());
    if (left > 0) {
      const size_t count = std::min(left, buffer.size());
      std::memcpy(buffer.data(), beginning_.data() + read_, count);
    }
    read_ += buffer.size();
    return buffer.size();
  }
  uint64_t read() const { return read_; }

 private:
  std::string beginning_;
  char byte_;
  uint64_t read_ = 0;
};

TEST(NotImageTest, Files) {
  struct File {
    const char* path;
    const char* message;
  };
  const File kFiles[] = {
      {"/proc/self/exe", "it is not a crfs image but an ELF file"},
      {"/etc/passwd", "it is not a crfs image: give one"},
      {"/dev/null", "it is empty"},
      {"/dev/zero", "it is not a crfs image"},
      {"/dev/urandom", "it is not a crfs image"},
      {"/nowhere/image.crfs", "cannot open: No such file or directory"},
      {"/etc", "cannot read: Is a directory"},
  };
  for (const File& file : kFiles) {
    const absl::Status status = VerifyImage(file.path, {});
    EXPECT_FALSE(status.ok()) << file.path;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(file.path) + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(file.message));
  }
}

TEST(NotImageTest, WhatWasDoneToIt) {
  using std::string_literals::operator""s;
  struct Kind {
    std::string bytes;
    const char* message;
  };
  const Kind kKinds[] = {
      {"\x28\xb5\x2f\xfd\x04\0\0\0"s, "compressed with zstd: decompress it"},
      {"\x1f\x8b\x08\0\0\0\0\0"s, "compressed with gzip: decompress it"},
      {"\211CRFS\n\n\1\0\0\0"s, "copied as text"},
      {"\211CRF"s, "the image ends within its header: the image is truncated"},
      {"\211CRFS\r\n\n\1\0\0\0\0\0\0\0"s, "the checksum of the image's header is wrong"},
  };
  for (const Kind& kind : kKinds) {
    StringSource source(kind.bytes);
    NoVisitor visitor;
    const absl::Status status = ReadImage(source, visitor);
    EXPECT_THAT(std::string(status.message()), HasSubstr(kind.message));
  }
}

TEST(NotImageTest, EndlessStreams) {
  const std::string& image = SmallImage();
  // After nothing, within a header, between records, and after the end.
  for (const size_t length : {size_t{0}, size_t{4}, size_t{16}, size_t{1000}, image.size()}) {
    for (const char byte : {'\0', '\xff', 'C'}) {
      EndlessSource source(image.substr(0, length), byte);
      NoVisitor visitor;
      EXPECT_FALSE(ReadImage(source, visitor).ok());
      EXPECT_LT(source.read(), image.size() + (1 << 20));
    }
  }
}

// Data that is said to be huge is read as far as it goes, without room being made for it.
TEST(NotImageTest, HugeDataOfAPipe) {
  Forge forge(SmallImage());
  forge.Set("shmem", 1, "size", uint64_t{1} << 63);
  forge.Extents(0).body = ExtentsBody(CRFS_TAG_shmem, 1, {{0, uint64_t{1} << 61}});
  while (&forge.Extents(0) != &forge.records.back()) forge.records.pop_back();
  forge.data.clear();
  forge.data_length = uint64_t{1} << 61;
  struct rusage before, after;
  ::getrusage(RUSAGE_SELF, &before);
  const std::string image = forge.Build();
  StringSource source(image);
  NoVisitor visitor;
  const absl::Status status = ReadImage(source, visitor);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the image ends within its data"));
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10);
}

// Records with every length and count, with right checksums.
TEST(NotImageTest, AbsurdLengths) {
  std::string beginning = SmallImage().substr(0, sizeof(crfs_image_header));
  for (const uint32_t type :
       {uint32_t{CRFS_TAG_checkpoint}, uint32_t{CRFS_TAG_task}, uint32_t{CRFS_RECORD_EXTENTS},
        uint32_t{CRFS_RECORD_DATA}, uint32_t{CRFS_RECORD_CHECKSUMS}, uint32_t{CRFS_RECORD_END}}) {
    for (int bit = 0; bit < 64; ++bit) {
      crfs_record record{.type = type, .id = 1, .length = uint64_t{1} << bit};
      const absl::string_view bytes(reinterpret_cast<const char*>(&record), sizeof(record));
      record.header_crc = Crc32c(bytes.substr(0, offsetof(crfs_record, header_crc)));
      EndlessSource source(beginning + std::string(bytes), '\0');
      NoVisitor visitor;
      const absl::Status status = ReadImage(source, visitor);
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_LE(source.read(), CRFS_RECORD_BODY_MAX + (1 << 20));
    }
  }
}

// Bodies of noise, with right checksums, in every record in turn.
TEST(NotImageTest, NoiseInPlaceOfBodies) {
  Random random(1);
  const Forge whole(SmallImage());
  for (size_t i = 0; i < whole.records.size(); ++i) {
    for (int round = 0; round < 8; ++round) {
      Forge forge = whole;
      std::string& body = forge.records[i].body;
      if (round % 2 == 0) {
        // A few bytes of it.
        for (int n = 0; n < 4; ++n) {
          body[random.Below(body.size())] = static_cast<char>(random.Next());
        }
      } else {
        for (char& byte : body) byte = static_cast<char>(random.Next());
      }
      if (round == 5) body.resize(random.Below(body.size()));
      const std::string image = forge.Build();
      StringSource source(image);
      NoVisitor visitor;
      // Many values may be any number, so this may well be right; it must not crash.
      const absl::Status status = ReadImage(source, visitor);
      EXPECT_TRUE(status.ok() || absl::IsDataLoss(status) || absl::IsUnimplemented(status))
          << status;
    }
  }
}

}  // namespace
}  // namespace crfs
