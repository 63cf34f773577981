// SPDX-License-Identifier: Apache-2.0
//
// What the generator writes, the reader reads; what the reader reads, the writer writes again.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "index/image_reader.h"
#include "tests/generate/copier.h"
#include "tests/generate/generate.h"

namespace crfs {
namespace {

struct Counter : ImageVisitor {
  absl::Status Object(const ObjectView& object, uint64_t offset) override {
    EXPECT_EQ(offset % 8, 0u);
    ++objects[std::string(object.type().name)];
    return absl::OkStatus();
  }
  absl::Status Extents(uint32_t, uint64_t, std::span<const crfs_extent> part) override {
    extents += part.size();
    return absl::OkStatus();
  }
  absl::Status DataBegins(uint64_t offset, uint64_t length) override {
    EXPECT_EQ(offset % 4096, 0u);
    data = length;
    return absl::OkStatus();
  }
  absl::Status Data(absl::string_view bytes) override {
    seen += bytes.size();
    return absl::OkStatus();
  }
  absl::Status Checksums(std::span<const uint32_t> part) override {
    checksums += part.size();
    return absl::OkStatus();
  }
  absl::Status End(const crfs_end& e) override {
    end = e;
    return absl::OkStatus();
  }

  std::map<std::string, uint64_t> objects;
  uint64_t extents = 0, data = 0, seen = 0, checksums = 0;
  crfs_end end{};
};

std::string Generated(const GenerateOptions& options) {
  std::string image;
  StringSink sink(&image);
  const absl::Status status = GenerateImage(options, sink);
  EXPECT_TRUE(status.ok()) << status;
  return image;
}

TEST(ImageTest, CopyIsTheSame) {
  for (const GenerateOptions& options :
       {GenerateOptions{}, GenerateOptions{.seed = 7, .tasks = 1},
        GenerateOptions{.seed = 2, .tasks = 50, .objects = 5000, .memory = 3 << 20},
        GenerateOptions{.tasks = 3, .memory = 70 << 20}}) {
    const std::string image = Generated(options);
    std::string copy;
    StringSink sink(&copy);
    StringSource source(image);
    const absl::Status status = CopyImage(source, sink);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(copy == image);
  }
}

TEST(ImageTest, EverythingIsSeen) {
  const std::string image = Generated({.objects = 12345, .memory = 70 << 20});
  StringSource source(image);
  Counter counter;
  const absl::Status status = ReadImage(source, counter);
  ASSERT_TRUE(status.ok()) << status;
  uint64_t objects = 0;
  for (const ObjectType& type : ObjectTypes()) {
    EXPECT_GT(counter.objects[std::string(type.name)], 0u) << type.name;
    objects += counter.objects[std::string(type.name)];
  }
  EXPECT_EQ(objects, 12345u);
  EXPECT_EQ(counter.end.objects, objects);
  EXPECT_EQ(counter.end.size, image.size());
  EXPECT_EQ(counter.end.extents, counter.extents);
  EXPECT_GT(counter.extents, CRFS_EXTENTS_MAX);
  EXPECT_GE(counter.data, 70u << 20);
  EXPECT_EQ(counter.seen, counter.data);
  EXPECT_EQ(counter.checksums, (counter.data + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE);
}

TEST(ImageTest, SkippedDataIsNotSeen) {
  const std::string image = Generated({.memory = 1 << 20});
  StringSource source(image);
  Counter counter;
  ASSERT_TRUE(ReadImage(source, counter, {.skip_data = true}).ok());
  EXPECT_GE(counter.data, 1u << 20);
  EXPECT_EQ(counter.seen, 0u);
  EXPECT_EQ(counter.checksums, (counter.data + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE);
}

TEST(ImageTest, TheSeedDecides) {
  EXPECT_TRUE(Generated({.seed = 3}) == Generated({.seed = 3}));
  EXPECT_FALSE(Generated({.seed = 3}) == Generated({.seed = 4}));
}

struct Refuser : ImageVisitor {
  absl::Status Object(const ObjectView&, uint64_t) override {
    return absl::CancelledError("enough");
  }
};

TEST(ImageTest, AnErrorOfTheVisitorEndsTheReading) {
  const std::string image = Generated({});
  StringSource source(image);
  Refuser refuser;
  const absl::Status status = ReadImage(source, refuser);
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_EQ(status.message(), "enough");
}

TEST(ImageTest, PathsAreNamedOnce) {
  const absl::Status status = absl::DataLossError("at byte 3: wrong");
  EXPECT_EQ(WithPath(status, "a.crfs").message(), "a.crfs: at byte 3: wrong");
  EXPECT_EQ(WithPath(WithPath(status, "a.crfs"), "a.crfs"), WithPath(status, "a.crfs"));
  EXPECT_TRUE(WithPath(absl::OkStatus(), "a.crfs").ok());
}

}  // namespace
}  // namespace crfs
