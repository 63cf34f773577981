// SPDX-License-Identifier: Apache-2.0

#include "engine/checkpoint_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "crfs/schema.h"
#include "index/image_reader.h"
#include "index/verify.h"
#include "tests/generate/generate.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

// Takes a generated image apart again, as the module would hand it over, and keeps its data
// as the memory of its owners.
class TakeApart : public ImageVisitor {
 public:
  absl::Status Object(const ObjectView& object, uint64_t) override {
    const auto id = snapshot.Add(object.type(), std::string(object.body()));
    return id.ok() && *id == object.id() ? absl::OkStatus() : absl::InternalError("ids have gaps");
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    for (const crfs_extent& extent : extents) snapshot.extents().push_back({type, id, extent});
    return absl::OkStatus();
  }
  absl::Status Data(absl::string_view bytes) override {
    data.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

  Snapshot snapshot;
  std::string data;
};

class CheckpointWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    StringSink sink(&image_);
    ASSERT_TRUE(GenerateImage({.seed = 7, .memory = 9 << 20}, sink).ok());
    StringSource source(image_);
    const absl::Status read = ReadImage(source, apart_);
    ASSERT_TRUE(read.ok()) << read;
  }

  // The memory of each owner is a sparse file with the bytes of its extents in place.
  absl::StatusOr<MemorySource> Memory() {
    return MemorySource::Create(apart_.snapshot,
                                [this](uint32_t type, uint64_t id) { return Open(type, id); });
  }

  absl::StatusOr<UniqueFd> Open(uint32_t type, uint64_t id) {
    UniqueFd fd(::memfd_create("memory", MFD_CLOEXEC));
    uint64_t position = 0;
    for (const OwnedExtent& owned : apart_.snapshot.extents()) {
      uint64_t base = 0;
      bool mine = owned.owner_type == type && owned.owner_id == id;
      if (owned.owner_type == CRFS_TAG_vma && type == CRFS_TAG_mm) {
        const ObjectView vma = apart_.snapshot.Get("vma", owned.owner_id);
        mine = vma.Number("mm") == id;
        base = vma.Number("start");
      }
      if (mine) {
        EXPECT_EQ(::pwrite(fd.get(), apart_.data.data() + position, owned.extent.length,
                           static_cast<off_t>(base + owned.extent.offset)),
                  static_cast<ssize_t>(owned.extent.length));
      }
      position += owned.extent.length;
    }
    return fd;
  }

  std::string image_;
  TakeApart apart_;
};

TEST_F(CheckpointWriterTest, StreamIsTheImage) {
  const auto memory = Memory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  ASSERT_GT(memory->size(), 8u << 20);
  std::string written;
  StringSink sink(&written);
  uint64_t last = 0;
  const absl::Status status =
      WriteStream(apart_.snapshot, *memory, sink, [&](uint64_t done, uint64_t) { last = done; });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(last, memory->size());
  EXPECT_TRUE(written == image_);
}

TEST_F(CheckpointWriterTest, FileWrittenInPlaceIsTheImage) {
  const auto memory = Memory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  const std::string path = testing::TempDir() + "/checkpoint_writer_test.crfs";
  auto file = NewFile::Create(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto checksums = WriteMemory(apart_.snapshot, *memory, *file, DiskWrites::kLater, {});
  ASSERT_TRUE(checksums.ok()) << checksums.status();
  const absl::Status written = WriteMetadata(apart_.snapshot, *checksums, *file);
  ASSERT_TRUE(written.ok()) << written;
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(VerifyImage(path, {}).ok());
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string contents(image_.size() + 1, '\0');
  ASSERT_EQ(::pread(fd.get(), contents.data(), contents.size(), 0),
            static_cast<ssize_t>(image_.size()));
  contents.pop_back();
  EXPECT_TRUE(contents == image_);
  std::filesystem::remove(path);
}

TEST_F(CheckpointWriterTest, AnyRangeOfMemoryCanBeRead) {
  const auto memory = Memory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    const uint64_t begin = random() % memory->size();
    const uint64_t length = std::min<uint64_t>(random() % (3 * kPage), memory->size() - begin);
    std::string buffer(length, '\0');
    ASSERT_TRUE(memory->Read(begin, buffer).ok());
    EXPECT_TRUE(buffer == apart_.data.substr(begin, length)) << begin << " " << length;
  }
}

TEST_F(CheckpointWriterTest, MemoryThatIsGoneIsAnError) {
  const auto memory = MemorySource::Create(apart_.snapshot, [](uint32_t, uint64_t) {
    return absl::StatusOr<UniqueFd>(UniqueFd(::memfd_create("empty", MFD_CLOEXEC)));
  });
  ASSERT_TRUE(memory.ok()) << memory.status();
  auto file = NewFile::Create(testing::TempDir() + "/checkpoint_writer_test.none");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(absl::IsDataLoss(
      WriteMemory(apart_.snapshot, *memory, *file, DiskWrites::kLater, {}).status()));
}

}  // namespace
}  // namespace crfs
