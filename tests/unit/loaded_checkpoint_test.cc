// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint read from an image into memory, and written again.

#include "index/loaded_checkpoint.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;

class LoadedCheckpointTest : public ::testing::Test {
 protected:
  LoadedCheckpointTest() : image_(Generated({.tasks = 5, .memory = 80 << 20})), parts_(image_) {
    WriteFile(path_, image_);
  }

  LoadedCheckpoint Load() const {
    auto loaded = LoadedCheckpoint::FromImage(path_);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return *std::move(loaded);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "image.crfs";
  const std::string image_;
  const Parts parts_;
};

TEST_F(LoadedCheckpointTest, HoldsEveryObject) {
  const LoadedCheckpoint loaded = Load();
  EXPECT_TRUE(loaded.is_image());
  EXPECT_EQ(loaded.path(), path_);
  size_t count = 0;
  for (const ObjectType& type : ObjectTypes()) {
    EXPECT_TRUE(std::ranges::is_sorted(loaded.Ids(type)));
    count += loaded.Ids(type).size();
  }
  EXPECT_EQ(count, parts_.objects.size());
  for (const Object& each : parts_.objects) {
    const ObjectView& object = each.view();
    ASSERT_TRUE(loaded.Has(object.type(), object.id()));
    EXPECT_EQ(loaded.Get(object.type(), object.id()).body(), object.body());
  }
  EXPECT_FALSE(loaded.Has(*FindType("task"), 0));
  EXPECT_FALSE(loaded.Has(*FindType("task"), 1000));
}

TEST_F(LoadedCheckpointTest, OwnedObjectsAreTogether) {
  const LoadedCheckpoint loaded = Load();
  for (const absl::string_view type : {"vma", "fd", "sigaction", "thread", "signal"}) {
    const ObjectType& owner = *OwnerOf(*FindType(type));
    size_t count = 0;
    for (const uint64_t owner_id : loaded.Ids(owner)) {
      uint64_t key = 0;
      for (const uint64_t id : loaded.Owned(type, owner_id)) {
        const ObjectView object = loaded.Get(type, id);
        EXPECT_EQ(object.OwnerId(), owner_id);
        if (key != 0) {
          EXPECT_GT(object.KeyNumber(), key);
        }
        key = object.KeyNumber();
        ++count;
      }
    }
    EXPECT_GT(count, 0u) << type;
    EXPECT_EQ(count, loaded.Ids(type).size());
  }
  EXPECT_TRUE(loaded.Owned("vma", 1000).empty());
}

TEST_F(LoadedCheckpointTest, MessagesNameThePlaceInTheTree) {
  const LoadedCheckpoint loaded = Load();
  const ObjectView thread = loaded.Get("thread", 1);
  const ObjectView task = loaded.Get("task", thread.OwnerId());
  const std::string directory =
      absl::StrCat(path_, ": tasks/", task.KeyNumber(), "/threads/", thread.KeyNumber());
  EXPECT_EQ(loaded.Where(thread), directory);
  EXPECT_EQ(loaded.Where(thread, "rip"), directory + "/regs/rip");
  EXPECT_EQ(loaded.Where(thread, "tid"), directory);
  EXPECT_EQ(loaded.Where(loaded.Get("checkpoint", 1), "uuid"), path_ + ": checkpoint/uuid");
  EXPECT_EQ(loaded.Where(loaded.Get("file", 3), "path"), path_ + ": objects/file/3/path");
  EXPECT_THAT(loaded.Where(loaded.Get("fd", 1)), HasSubstr(": objects/fdtable/1/0"));
}

TEST_F(LoadedCheckpointTest, MemoryIsWhereItSays) {
  const LoadedCheckpoint loaded = Load();
  uint64_t place = 0, total = 0;
  for (const auto& [owner, extents] : parts_.extents) {
    const auto memory = loaded.Memory(loaded.Get(*FindType(owner.first), owner.second));
    ASSERT_TRUE(memory.ok()) << memory.status();
    ASSERT_EQ(memory->extents.size(), extents.size());
    for (size_t i = 0; i < extents.size(); ++i) {
      const LoadedExtent& found = memory->extents[i];
      EXPECT_EQ(found.offset, extents[i].offset);
      ASSERT_EQ(found.length, extents[i].length);
      std::string bytes(found.length, '\0');
      ASSERT_EQ(
          ::pread(memory->fd, bytes.data(), bytes.size(), static_cast<off_t>(found.file_offset)),
          static_cast<ssize_t>(bytes.size()));
      EXPECT_TRUE(parts_.data.compare(place, bytes.size(), bytes) == 0);
      place += bytes.size();
      total += bytes.size();
    }
  }
  EXPECT_EQ(loaded.memory_size(), total);
  const auto none = loaded.Memory(loaded.Get("shmem", 2));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->extents.empty());
}

TEST_F(LoadedCheckpointTest, IsWrittenByteForByte) {
  const LoadedCheckpoint loaded = Load();
  uint64_t last = 0;
  const absl::Status status =
      WriteCheckpoint(loaded, folder_ / "copy", [&](uint64_t done, uint64_t) { last = done; });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(ReadFile(folder_ / "copy") == image_);
  EXPECT_EQ(last, loaded.memory_size());
}

TEST_F(LoadedCheckpointTest, IsWrittenToAPipe) {
  const LoadedCheckpoint loaded = Load();
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::string copy;
  std::jthread reader([&] { copy = ReadFile(fifo); });
  const absl::Status status = WriteCheckpoint(loaded, fifo);
  reader.join();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(copy == image_);
}

TEST_F(LoadedCheckpointTest, DamagedMemoryIsFoundWhenItIsReadAndNeverCopied) {
  std::string damaged = image_;
  damaged[image_.size() / 2] ^= 1;
  WriteFile(path_, damaged);
  const LoadedCheckpoint loaded = Load();
  const absl::Status verified = loaded.VerifyMemory();
  EXPECT_TRUE(absl::IsDataLoss(verified)) << verified;
  EXPECT_THAT(std::string(verified.message()), HasSubstr(path_ + ": at byte "));
  for (const char* output : {"copy", "fifo"}) {
    const std::string copy = folder_ / output;
    std::jthread reader;
    if (copy.ends_with("fifo")) {
      ASSERT_EQ(::mkfifo(copy.c_str(), 0600), 0);
      reader = std::jthread([&] { ReadFile(copy); });
    }
    EXPECT_EQ(WriteCheckpoint(loaded, copy).message(), verified.message());
  }
  EXPECT_NE(::access((folder_ / "copy").c_str(), F_OK), 0);
}

TEST_F(LoadedCheckpointTest, ASoundImageIsVerified) { EXPECT_TRUE(Load().VerifyMemory().ok()); }

TEST_F(LoadedCheckpointTest, ErrorsNameTheFile) {
  WriteFile(folder_ / "text", "hello");
  EXPECT_THAT(std::string(LoadedCheckpoint::FromImage(folder_ / "text").status().message()),
              HasSubstr(folder_ / "text: it is not a crfs image"));
  EXPECT_THAT(std::string(LoadedCheckpoint::FromImage(folder_ / "none").status().message()),
              HasSubstr(folder_ / "none: cannot open"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(LoadedCheckpoint::FromImage(folder_ / "pipe").status().message(),
            folder_ / "pipe: is no regular file: write the image to a file first");
  const absl::Status written = WriteCheckpoint(Load(), folder_ / "none/copy");
  EXPECT_THAT(std::string(written.message()), HasSubstr(folder_ / "none/copy: cannot create"));
}

}  // namespace
}  // namespace crfs
