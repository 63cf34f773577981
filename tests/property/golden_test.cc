// SPDX-License-Identifier: Apache-2.0
//
// tests/golden holds one image of every format version that was released, and what it says.
// They never change. For a new version, run this once with CRFS_GOLDEN=write: it makes the
// files of the newest version where there are none.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "tests/generate/copier.h"
#include "tests/generate/generate.h"
#include "tests/property/dump.h"

namespace crfs {
namespace {

std::string Path(absl::string_view name, int version, absl::string_view extension) {
  return absl::StrCat(CRFS_TESTS_DIR "/golden/", name, version, extension);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteNew(const std::string& path, const std::string& bytes) {
  if (!std::filesystem::exists(path)) std::ofstream(path, std::ios::binary) << bytes;
}

class GoldenTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::getenv("CRFS_GOLDEN") == nullptr) return;
    std::string image;
    StringSink sink(&image);
    ASSERT_TRUE(GenerateImage({.seed = 42}, sink).ok());
    WriteNew(Path("v", CRFS_FORMAT_VERSION, ".crfs"), image);
    WriteNew(Path("v", CRFS_FORMAT_VERSION, ".txt"), *DumpImage(image));
    WriteNew(Path("wire-v", CRFS_FORMAT_VERSION, ".txt"), DumpWire(CRFS_FORMAT_VERSION));
  }
};

TEST_F(GoldenTest, EachVersionStillSaysTheSame) {
  for (int version = 1; version <= CRFS_FORMAT_VERSION; ++version) {
    const auto dump = DumpImage(ReadFile(Path("v", version, ".crfs")));
    ASSERT_TRUE(dump.ok()) << dump.status();
    const std::vector<std::string> lines = absl::StrSplit(*dump, '\n');
    const std::vector<std::string> golden =
        absl::StrSplit(ReadFile(Path("v", version, ".txt")), '\n');
    ASSERT_EQ(lines.size(), golden.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      ASSERT_EQ(lines[i], golden[i]) << "line " << i + 1 << " of version " << version;
    }
  }
}

TEST_F(GoldenTest, TheNewestIsWrittenTheSame) {
  const std::string image = ReadFile(Path("v", CRFS_FORMAT_VERSION, ".crfs"));
  std::string copy;
  StringSink sink(&copy);
  StringSource source(image);
  const absl::Status status = CopyImage(source, sink);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(copy == image);
}

TEST_F(GoldenTest, TheWireOfEachVersionIsFrozen) {
  for (int version = 1; version <= CRFS_FORMAT_VERSION; ++version) {
    const std::vector<std::string> now = absl::StrSplit(DumpWire(version), '\n');
    const std::vector<std::string> golden =
        absl::StrSplit(ReadFile(Path("wire-v", version, ".txt")), '\n');
    const std::set<std::string> known(now.begin(), now.end());
    const std::set<std::string> frozen(golden.begin(), golden.end());
    for (const std::string& line : golden) {
      EXPECT_TRUE(known.contains(line)) << "frozen by version " << version << ": " << line;
    }
    // Words are added without a new version; rows are not.
    for (const std::string& line : now) {
      if (line.find(": ") == std::string::npos) {
        EXPECT_TRUE(frozen.contains(line)) << "not part of version " << version << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace crfs
