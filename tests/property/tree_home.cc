// SPDX-License-Identifier: Apache-2.0

#include "tests/property/tree_home.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_join.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  EXPECT_TRUE(file.good()) << path;
}

TreeHome::TreeHome() {
  // In memory if possible: trees are thousands of small files.
  const bool in_memory = ::access("/dev/shm", W_OK) == 0;
  std::string path =
      (in_memory ? std::string("/dev/shm") : ::testing::TempDir()) + "/crfs-property-XXXXXX";
  EXPECT_NE(::mkdtemp(path.data()), nullptr);
  home_ = path;
}

TreeHome::~TreeHome() { std::filesystem::remove_all(home_); }

void TreeHome::Generate(const GenerateOptions& options) {
  image_.clear();
  StringSink sink(&image_);
  ASSERT_TRUE(GenerateImage(options, sink).ok());
  WriteFile(Path("image"), image_);
  auto index = Index::Open(Path("image"), {.directory = Path("index")});
  ASSERT_TRUE(index.ok()) << index.status();
  index_ = *std::move(index);
  tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{});
}

::testing::AssertionResult TreeHome::IsTheImage() const {
  Problems problems;
  const auto loaded = LoadedCheckpoint::FromTree(Path("tree"), problems);
  if (!loaded.ok()) return ::testing::AssertionFailure() << loaded.status();
  if (!problems.empty()) return ::testing::AssertionFailure() << absl::StrJoin(problems, "\n");
  if (!loaded->leftovers().empty()) {
    return ::testing::AssertionFailure() << absl::StrJoin(loaded->leftovers(), "\n");
  }
  const absl::Status status = WriteCheckpoint(*loaded, Path("again"));
  if (!status.ok()) return ::testing::AssertionFailure() << status;
  if (ReadFile(Path("again")) == image_) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "the image differs";
}

}  // namespace crfs
