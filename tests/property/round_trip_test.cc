// SPDX-License-Identifier: Apache-2.0
//
// image -> tree -> image is the identity, whatever kind of copy the tree went through. Real
// tools and mounts: tests/mount/round_trip_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/generate/write_tree.h"
#include "tests/property/tree_home.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

using RoundTripTest = TreeHome;

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
