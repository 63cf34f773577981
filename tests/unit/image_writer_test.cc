// SPDX-License-Identifier: Apache-2.0

#include "index/image_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "crfs/schema.h"
#include "index/image_reader.h"
#include "index/record.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

const ObjectType& Type(absl::string_view name) { return *FindType(name); }

std::string Checkpoint() {
  ObjectBuilder object(Type("checkpoint"));
  object.SetBytes("arch", "x86_64").SetNumber("page_size", 4096).SetNumber("root", 1);
  return *object.SetNumber("engine", 1).Build();
}

std::string Zombie() {
  ObjectBuilder object(Type("task"));
  return *object.SetNumber("pid", 1).SetNumber("state", CRFS_state_zombie).Build();
}

std::string Shmem(uint64_t pages) {
  return *ObjectBuilder(Type("shmem")).SetNumber("size", pages * 4096).Build();
}

class ImageWriterTest : public ::testing::Test {
 protected:
  void Begin(uint64_t pages) {
    ASSERT_TRUE(writer_.Object(Type("checkpoint"), 1, Checkpoint()).ok());
    ASSERT_TRUE(writer_.Object(Type("shmem"), 1, Shmem(pages)).ok());
    ASSERT_TRUE(writer_.Object(Type("task"), 1, Zombie()).ok());
  }
  static void ExpectRefused(const absl::Status& status, const char* message) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  std::string image_;
  StringSink sink_{&image_};
  ImageWriter writer_{&sink_};
};

struct Collector : ImageVisitor {
  absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
  absl::Status Extents(uint32_t, uint64_t, std::span<const crfs_extent> part) override {
    records.push_back(part.size());
    extents.insert(extents.end(), part.begin(), part.end());
    return absl::OkStatus();
  }
  std::vector<size_t> records;
  std::vector<crfs_extent> extents;
};

TEST_F(ImageWriterTest, MergesExtentsThatTouch) {
  Begin(100);
  const crfs_extent first[] = {{0, 4096}, {4096, 8192}};
  const crfs_extent second[] = {{12288, 4096}, {20480, 4096}};
  ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, first).ok());
  ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, second).ok());
  ASSERT_TRUE(writer_.Data(std::string(5 * 4096, 'x')).ok());
  ASSERT_TRUE(writer_.Finish().ok());
  Collector collector;
  StringSource source(image_);
  const absl::Status status = ReadImage(source, collector);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(collector.extents.size(), 2u);
  EXPECT_EQ(collector.extents[0].length, 4 * 4096u);
}

TEST_F(ImageWriterTest, FillsRecordsOfExtents) {
  constexpr uint64_t kCount = CRFS_EXTENTS_MAX;
  // One more touches the last of a full record and still belongs to it.
  Begin(10 * kCount);
  for (uint64_t i = 0; i < kCount; ++i) {
    const crfs_extent extent{i * 8192, 4096};
    ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, {&extent, 1}).ok());
  }
  const crfs_extent more[] = {{(kCount - 1) * 8192 + 4096, 4096}, {kCount * 8192 + 4096, 4096}};
  ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, more).ok());
  ASSERT_TRUE(writer_.Data(std::string((kCount + 2) * 4096, 'x')).ok());
  ASSERT_TRUE(writer_.Finish().ok());
  Collector collector;
  StringSource source(image_);
  const absl::Status status = ReadImage(source, collector);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(collector.records, testing::ElementsAre(kCount, 1));
  EXPECT_EQ(collector.extents[kCount - 1].length, 2 * 4096u);
}

TEST_F(ImageWriterTest, PiecesOfDataDoNotMatter) {
  const std::string data(1 << 20, 'x');
  const crfs_extent extent{0, data.size()};
  std::string images[3];
  const size_t kPieces[] = {4096, 300'001, data.size()};
  for (int i = 0; i < 3; ++i) {
    StringSink sink(&images[i]);
    ImageWriter writer(&sink);
    ASSERT_TRUE(writer.Object(Type("checkpoint"), 1, Checkpoint()).ok());
    ASSERT_TRUE(writer.Object(Type("shmem"), 1, Shmem(1000)).ok());
    ASSERT_TRUE(writer.Object(Type("task"), 1, Zombie()).ok());
    ASSERT_TRUE(writer.Extents(CRFS_TAG_shmem, 1, {&extent, 1}).ok());
    for (size_t done = 0; done < data.size(); done += kPieces[i]) {
      ASSERT_TRUE(writer.Data(absl::string_view(data).substr(done, kPieces[i])).ok());
    }
    ASSERT_TRUE(writer.Finish().ok());
  }
  EXPECT_TRUE(images[0] == images[1] && images[1] == images[2]);
}

TEST_F(ImageWriterTest, RefusesWhatIsOutOfOrder) {
  ExpectRefused(writer_.Finish(), "no object has been written");
  ImageWriter fresh(&sink_);
  ExpectRefused(fresh.Object(Type("task"), 1, Zombie()), "task 1: the record of the checkpoint");
  ImageWriter unrooted(&sink_);
  ASSERT_TRUE(unrooted.Object(Type("checkpoint"), 1, Checkpoint()).ok());
  ExpectRefused(unrooted.Finish(), "the checkpoint's root is task 1, which there is not");
}

TEST_F(ImageWriterTest, RefusesWhatDoesNotFit) {
  Begin(10);
  ExpectRefused(writer_.Object(Type("ns"), 1, "x"), "ns 1: its body is too short");
  ExpectRefused(writer_.Object(Type("task"), 1, Zombie()), "there are two with this id");
  const crfs_extent extents[] = {{0, 4096}};
  ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, extents).ok());
  ExpectRefused(writer_.Object(Type("task"), 2, Zombie()), "objects come before extents");
  ASSERT_TRUE(writer_.BeginData().ok());
  ExpectRefused(writer_.Extents(CRFS_TAG_shmem, 1, extents), "extents come before data");
  ExpectRefused(writer_.Finish(), "extents have 4096 bytes, but 0 of data");
  ExpectRefused(writer_.Data(std::string(4097, 'x')), "more data than extents");
  ASSERT_TRUE(writer_.Data(std::string(4096, 'x')).ok());
  ASSERT_TRUE(writer_.Finish().ok());
  ExpectRefused(writer_.Finish(), "the image is finished");
  ExpectRefused(writer_.Data(""), "the image is finished");
}

TEST_F(ImageWriterTest, RefusesExtentsThatOverlap) {
  Begin(10);
  const crfs_extent extents[] = {{0, 8192}, {4096, 4096}};
  ASSERT_TRUE(writer_.Extents(CRFS_TAG_shmem, 1, extents).ok());
  ExpectRefused(writer_.BeginData().status(), "extents of object 1: the extent at 0x1000");
}

// The example of docs/image-format.md: `    OFFSET: bytes as hexadecimal digits  words`.
TEST(ImageFormatPageTest, ItsExampleIsTrue) {
  std::string image;
  StringSink sink(&image);
  ImageWriter writer(&sink);
  ObjectBuilder checkpoint(Type("checkpoint"));
  checkpoint.SetBytes("arch", "x86_64").SetNumber("page_size", 4096).SetNumber("root", 1);
  checkpoint.SetNumber("engine", 2).SetBytes("kernel", "6.1.0");
  ObjectBuilder task(Type("task"));
  task.SetNumber("pid", 981).SetNumber("state", CRFS_state_zombie);
  ASSERT_TRUE(writer.Object(Type("checkpoint"), 1, *checkpoint.Build()).ok());
  ASSERT_TRUE(writer.Object(Type("task"), 1, *task.Build()).ok());
  ASSERT_TRUE(writer.Finish().ok());
  std::ifstream page(CRFS_TESTS_DIR "/../docs/image-format.md");
  std::string line;
  int lines = 0;
  while (std::getline(page, line)) {
    unsigned offset = 0;
    if (line.rfind("    0000", 0) != 0) continue;
    ASSERT_EQ(std::sscanf(line.c_str(), "%x: ", &offset), 1);
    std::string digits = line.substr(14, 39);
    digits.erase(std::remove(digits.begin(), digits.end(), ' '), digits.end());
    ASSERT_LE(offset + 16, image.size());
    EXPECT_EQ(absl::BytesToHexString(image.substr(offset, 16)), digits) << line;
    ++lines;
  }
  EXPECT_EQ(lines, 17);
}

class FailingSink : public ByteSink {
 public:
  absl::Status Write(absl::string_view) override {
    return absl::ResourceExhaustedError("out.crfs: cannot write: No space left on device");
  }
};

TEST(ImageWriterSinkTest, ErrorsOfTheSinkComeAsTheyAre) {
  FailingSink sink;
  ImageWriter writer(&sink);
  ASSERT_TRUE(writer.Object(Type("checkpoint"), 1, Checkpoint()).ok());
  ASSERT_TRUE(writer.Object(Type("task"), 1, Zombie()).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(writer.Finish()));
}

}  // namespace
}  // namespace crfs
