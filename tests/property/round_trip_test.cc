// SPDX-License-Identifier: Apache-2.0
//
// image -> tree -> image is the identity, whatever kind of copy the tree went through. Real
// tools and mounts: tests/mount/round_trip_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "index/index.h"
#include "index/loaded_checkpoint.h"
#include "index/tree.h"
#include "tests/generate/generate.h"
#include "tests/generate/write_tree.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class RoundTripTest : public ::testing::Test {
 protected:
  RoundTripTest() {
    // In memory if possible: trees are thousands of small files.
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string path =
        (in_memory ? std::string("/dev/shm") : ::testing::TempDir()) + "/round-trip-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    home_ = path;
  }
  ~RoundTripTest() override { fs::remove_all(home_); }

  std::string Path(const std::string& name) const { return home_ + "/" + name; }

  void Generate(const GenerateOptions& options) {
    StringSink sink(&image_);
    ASSERT_TRUE(GenerateImage(options, sink).ok());
    std::ofstream(Path("image"), std::ios::binary) << image_;
    auto index = Index::Open(Path("image"), {.directory = Path("index")});
    ASSERT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{});
  }

  // Whether the tree below Path("tree") is the image.
  ::testing::AssertionResult IsTheImage() const {
    Problems problems;
    const auto loaded = LoadedCheckpoint::FromTree(Path("tree"), problems);
    if (!loaded.ok()) return ::testing::AssertionFailure() << loaded.status();
    if (!problems.empty()) {
      return ::testing::AssertionFailure() << absl::StrJoin(problems, "\n");
    }
    if (!loaded->leftovers().empty()) {
      return ::testing::AssertionFailure() << absl::StrJoin(loaded->leftovers(), "\n");
    }
    const absl::Status status = WriteCheckpoint(*loaded, Path("again"));
    if (!status.ok()) return ::testing::AssertionFailure() << status;
    if (ReadFile(Path("again")) == image_) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "the image differs";
  }

  std::string home_;
  std::string image_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

struct Copy {
  const char* name;
  WriteTreeOptions options;
};
constexpr Copy kCopies[] = {
    {"WithLinksAndHoles", {.links = true, .holes = true}},
    {"WithoutHoles", {.links = true, .holes = false}},
    {"WithoutLinks", {.links = false, .holes = true}},
    {"WithoutEither", {.links = false, .holes = false}},
};

class EachCopy : public RoundTripTest, public ::testing::WithParamInterface<Copy> {};

TEST_P(EachCopy, IsTheIdentity) {
  // The first has every edge value of every row; others have more of everything.
  const GenerateOptions all[] = {{.seed = 1},
                                 {.seed = 2, .tasks = 1, .memory = 8 << 20},
                                 {.seed = 3, .tasks = 9, .objects = 600}};
  for (const GenerateOptions& options : all) {
    // Each object would be there many times.
    if (!GetParam().options.links && options.objects > 0) continue;
    image_.clear();
    Generate(options);
    const absl::Status written = WriteTree(*tree_, Path("tree"), GetParam().options);
    ASSERT_TRUE(written.ok()) << written;
    EXPECT_TRUE(IsTheImage()) << "seed " << options.seed;
    fs::remove_all(Path("tree"));
  }
}

INSTANTIATE_TEST_SUITE_P(RoundTrip, EachCopy, ::testing::ValuesIn(kCopies),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(RoundTripTest, WithoutDerivedFilesToo) {
  Generate({.tasks = 6});
  ASSERT_TRUE(WriteTree(*tree_, Path("tree")).ok());
  for (const auto& entry : fs::recursive_directory_iterator(Path("tree"))) {
    if (entry.path().filename() == "refs") fs::remove(entry.path());
    // A task is known by its id alone, others by their names.
    const bool of_task = entry.path().parent_path().parent_path().filename() == "tasks";
    if (entry.path().filename() == "id" && !of_task) fs::remove(entry.path());
  }
  for (const auto& task : fs::directory_iterator(Path("tree/tasks"))) {
    for (const char* name : {"comm", "cred", "exe", "auxv", "cwd", "root", "umask", "sched",
                             "personality", "seccomp", "no_new_privs", "dumpable"}) {
      fs::remove_all(task.path() / name);
    }
  }
  EXPECT_TRUE(IsTheImage());
}

TEST_F(RoundTripTest, WhatWasNotSavedMayBeThereWithoutAPagemap) {
  Generate({.tasks = 2, .memory = 1 << 20});
  ASSERT_TRUE(WriteTree(*tree_, Path("tree")).ok());
  for (const auto& entry : fs::recursive_directory_iterator(Path("tree"))) {
    if (entry.path().filename() == "pagemap") fs::remove(entry.path());
  }
  EXPECT_TRUE(IsTheImage());
}

TEST_F(RoundTripTest, ObjectsThatStandInPlaceOfLinksAloneAreFound) {
  Generate({.tasks = 3});
  ASSERT_TRUE(WriteTree(*tree_, Path("tree"), {.links = false}).ok());
  // What nothing refers to stands there alone.
  for (const auto& type : fs::directory_iterator(Path("tree/objects"))) {
    for (const auto& object : fs::directory_iterator(type)) {
      if (ReadFile(object.path() / "refs") != "0\n") fs::remove_all(object.path());
    }
  }
  EXPECT_TRUE(IsTheImage());
}

}  // namespace
}  // namespace crfs
