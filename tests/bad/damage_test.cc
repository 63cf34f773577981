// SPDX-License-Identifier: Apache-2.0
//
// A small image, damaged in every place in turn: it is noticed, with the place and what to
// do, and nothing crashes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/byte_stream.h"
#include "index/image_reader.h"
#include "index/unique_fd.h"
#include "index/verify.h"
#include "tests/generate/generate.h"
#include "tests/sanitized.h"

namespace crfs {
namespace {

// Sanitizers make each reading slow: under them, every eleventh place has to do.
constexpr size_t kStep = kSanitized ? 11 : 1;

const std::string& TinyImage() {
  static const std::string& image = *[] {
    auto* bytes = new std::string;
    StringSink sink(bytes);
    EXPECT_TRUE(GenerateImage({.tasks = 1}, sink).ok());
    return bytes;
  }();
  return image;
}

// A file without a name, and the path by which it can be opened.
class MemoryFile {
 public:
  explicit MemoryFile(absl::string_view bytes) : fd_(::memfd_create("image", MFD_CLOEXEC)) {
    EXPECT_EQ(::pwrite(fd_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  void Put(size_t offset, char byte) { EXPECT_EQ(::pwrite(fd_.get(), &byte, 1, offset), 1); }
  void Truncate(size_t length) { EXPECT_EQ(::ftruncate(fd_.get(), length), 0); }
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

 private:
  UniqueFd fd_;
};

// `PATH: what is wrong: what to do`, with the place if it is an image at all.
void ExpectClear(const absl::Status& status, const std::string& path) {
  const std::string message(status.message());
  EXPECT_THAT(message, testing::StartsWith(path + ": "));
  const std::vector<std::string> parts = absl::StrSplit(message, ": ");
  EXPECT_GE(parts.size(), 3u) << message;
  if (absl::IsDataLoss(status)) {
    EXPECT_THAT(parts[1], testing::StartsWith("at byte ")) << message;
  } else {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
}

struct DataPlace : ImageVisitor {
  absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
  absl::Status DataBegins(uint64_t begin, uint64_t data_length) override {
    offset = begin;
    length = data_length;
    return absl::OkStatus();
  }
  uint64_t offset = 0;
  uint64_t length = 0;
};

TEST(DamageTest, TruncatedAtEachLength) {
  MemoryFile file(TinyImage());
  ASSERT_TRUE(VerifyImage(file.path(), {}).ok());
  for (size_t length = TinyImage().size(); length > 0;) {
    length -= std::min(length, kStep);
    file.Truncate(length);
    const absl::Status status = VerifyImage(file.path(), {});
    ASSERT_FALSE(status.ok()) << length;
    ExpectClear(status, file.path());
    EXPECT_THAT(std::string(status.message()),
                testing::HasSubstr(length == 0 ? "it is empty" : "truncated"));
  }
}

TEST(DamageTest, EachByteFlipped) {
  MemoryFile file(TinyImage());
  for (size_t i = 0; i < TinyImage().size(); i += kStep) {
    for (const int mask : {0x01, 0xff}) {
      file.Put(i, static_cast<char>(TinyImage()[i] ^ mask));
      const absl::Status status = VerifyImage(file.path(), {});
      ASSERT_FALSE(status.ok()) << "byte " << i << " with " << mask;
      ExpectClear(status, file.path());
    }
    file.Put(i, TinyImage()[i]);
  }
  EXPECT_TRUE(VerifyImage(file.path(), {}).ok());
}

// Without reading the data, all damage outside of it is seen, and none within.
TEST(DamageTest, EachByteFlippedWithDataSkipped) {
  DataPlace data;
  StringSource whole(TinyImage());
  ASSERT_TRUE(ReadImage(whole, data).ok());
  ASSERT_GT(data.length, 0u);
  std::string image = TinyImage();
  for (size_t i = 0; i < image.size(); i += kStep) {
    image[i] = static_cast<char>(image[i] ^ 0x10);
    StringSource source(image);
    DataPlace visitor;
    const absl::Status status = ReadImage(source, visitor, {.skip_data = true});
    EXPECT_EQ(status.ok(), i >= data.offset && i < data.offset + data.length) << i;
    image[i] = TinyImage()[i];
  }
}

TEST(DamageTest, TruncatedWithDataSkipped) {
  std::string image;
  StringSink sink(&image);
  ASSERT_TRUE(GenerateImage({.tasks = 1, .memory = 1 << 20}, sink).ok());
  DataPlace data;
  StringSource whole(image);
  ASSERT_TRUE(ReadImage(whole, data).ok());
  for (const uint64_t length : {data.offset, data.offset + 1, data.offset + data.length - 1,
                                data.offset + data.length, uint64_t{image.size() - 1}}) {
    MemoryFile file(image);
    file.Truncate(length);
    const UniqueFd fd(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
    FdSource source(fd.get(), "image");
    DataPlace visitor;
    const absl::Status status = ReadImage(source, visitor, {.skip_data = true});
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("truncated"));
  }
}

TEST(DamageTest, SomethingFollows) {
  for (const std::string& more : {std::string(1, '\0'), std::string(8, '\0'), TinyImage()}) {
    MemoryFile file(TinyImage() + more);
    const absl::Status status = VerifyImage(file.path(), {});
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                testing::HasSubstr(absl::StrCat("at byte ", TinyImage().size(),
                                                ": something follows the end record")));
  }
}

}  // namespace
}  // namespace crfs
