// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "index/crc32c.h"
#include "index/image_reader.h"
#include "index/image_writer.h"
#include "tests/generate/generate.h"

namespace crfs {
namespace {

// Writes the parts of an image as they come.
class Copier : public ImageVisitor {
 public:
  explicit Copier(ByteSink* sink) : writer_(sink) {}
  absl::Status Object(const ObjectView& object, uint64_t offset) override {
    EXPECT_EQ(offset % 8, 0u);
    ++counts[std::string(object.type().name)];
    return writer_.Object(object.type(), object.id(), object.body());
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    counts["extents"] += extents.size();
    return writer_.Extents(type, id, extents);
  }
  absl::Status DataBegins(uint64_t offset, uint64_t length) override {
    EXPECT_EQ(offset % 4096, 0u);
    const auto begun = writer_.BeginData();
    EXPECT_TRUE(begun.ok() && *begun == offset);
    counts["data"] = length;
    return begun.status();
  }
  absl::Status Data(absl::string_view bytes) override { return writer_.Data(bytes); }
  absl::Status Checksums(std::span<const uint32_t> checksums) override {
    counts["checksums"] += checksums.size();
    return absl::OkStatus();
  }
  absl::Status End(const crfs_end& end) override {
    counts["size"] = end.size;
    return writer_.Finish();
  }

  std::map<std::string, uint64_t> counts;

 private:
  ImageWriter writer_;
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
    Copier copier(&sink);
    const absl::Status status = ReadImage(source, copier);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(copy == image);
    EXPECT_EQ(copier.counts["size"], image.size());
    EXPECT_EQ(copier.counts["checksums"],
              (copier.counts["data"] + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE);
    if (options.memory > 64 << 20) {
      EXPECT_GE(copier.counts["data"], options.memory);
      EXPECT_GT(copier.counts["extents"], CRFS_EXTENTS_MAX);
    }
    for (const ObjectType& type : ObjectTypes()) {
      EXPECT_GT(copier.counts[std::string(type.name)], 0u) << type.name;
    }
  }
}

TEST(ImageTest, GeneratorGivesAsManyObjectsAsAskedFor) {
  const std::string image = Generated({.objects = 12345});
  std::string copy;
  StringSink sink(&copy);
  StringSource source(image);
  Copier copier(&sink);
  ASSERT_TRUE(ReadImage(source, copier).ok());
  uint64_t objects = 0;
  for (const ObjectType& type : ObjectTypes()) objects += copier.counts[std::string(type.name)];
  EXPECT_EQ(objects, 12345u);
}

}  // namespace
}  // namespace crfs
