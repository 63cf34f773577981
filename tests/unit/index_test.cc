// SPDX-License-Identifier: Apache-2.0

#include "index/index.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/tree.h"
#include "index/unique_fd.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

class IndexTest : public ::testing::Test {
 protected:
  IndexTest() : image_(Generated({.tasks = 6, .objects = 3000, .memory = 1 << 20})) {
    WriteFile(path_, image_);
  }

  absl::StatusOr<std::unique_ptr<Index>> Open(int* builds = nullptr) const {
    IndexOptions options{.directory = directory_};
    if (builds != nullptr) {
      options.progress = [builds](uint64_t done, uint64_t total) { *builds += done == total; };
    }
    return Index::Open(path_, options);
  }

  // Opens it, and says whether it had to be built.
  bool Builds() const {
    int builds = 0;
    const auto index = Open(&builds);
    EXPECT_TRUE(index.ok()) << index.status();
    if (index.ok()) Check(**index);
    return builds > 0;
  }

  // Reads every object, name, count and extent.
  static absl::Status ReadAll(const Index& index) {
    for (const ObjectType& type : ObjectTypes()) {
      uint64_t count = 0;
      if (type.key == Key::kId) {
        absl::Status failed;
        auto status = index.ListKeys(type, 0, 0, [&](uint64_t, uint64_t id) {
          ++count;
          auto object = index.Get(type, id);
          failed = object.status();
          if (failed.ok()) failed = index.CountRefs(type, id).status();
          if (failed.ok()) failed = index.FindExtent(type, id, 0).status();
          return failed.ok();
        });
        if (!status.ok()) return status;
        if (!failed.ok()) return failed;
        EXPECT_EQ(count, index.Count(type)) << type.name;
        continue;
      }
      for (uint64_t id = 1; id <= index.Count(type); ++id) {
        auto object = index.Get(type, id);
        if (!object.ok()) return object.status();
        if (type.key == Key::kSingle) continue;
        const ObjectView& view = object->view();
        auto found = index.FindKey(type, view.OwnerId(), view.KeyNumber());
        if (!found.ok()) return found.status();
        EXPECT_EQ(*found, id) << type.name;
      }
    }
    return index.VerifyData(0, index.image_size());
  }

  void Check(const Index& index) const {
    const absl::Status status = ReadAll(index);
    EXPECT_TRUE(status.ok()) << status;
  }

  // The folder of the only index.
  std::string IndexFolder() const {
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.is_directory()) return entry.path().string();
    }
    return "";
  }

  std::vector<std::string> Files(const std::string& suffix) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(IndexFolder())) {
      const std::string file = entry.path().string();
      if (absl::EndsWith(file, suffix)) files.push_back(file);
    }
    return files;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "image";
  const std::string directory_ = folder_ / "cache/index";
  const std::string image_;
};

TEST_F(IndexTest, IsBuiltOnceAndShared) {
  EXPECT_TRUE(Builds());
  EXPECT_FALSE(Builds());
  const auto one = Open(), two = Open();
  Check(**one);
  Check(**two);
  // Nothing but the index and its lock is left.
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(directory_)) ++entries;
  EXPECT_EQ(entries, 2u);
  EXPECT_TRUE(Files("LOG").empty());
}

TEST_F(IndexTest, WhatIsNotThereIsNotFound) {
  const auto index = Open();
  EXPECT_TRUE(absl::IsNotFound((*index)->Get(*FindType("mm"), 999999).status()));
  EXPECT_TRUE(absl::IsNotFound((*index)->FindKey(*FindType("task"), 0, 1 << 30).status()));
  EXPECT_TRUE(absl::IsNotFound((*index)->Exists(*FindType("fd"), UINT64_MAX)));
  const auto extent = (*index)->FindExtent(*FindType("vma"), UINT64_MAX, UINT64_MAX);
  EXPECT_TRUE(extent.ok() && !extent->has_value());
}

TEST_F(IndexTest, ASecondImageHasAnIndexOfItsOwn) {
  EXPECT_TRUE(Builds());
  WriteFile(path_, Generated({.seed = 2, .tasks = 3}));
  EXPECT_TRUE(Builds());
  WriteFile(path_, image_);
  EXPECT_FALSE(Builds());
}

TEST_F(IndexTest, ADamagedIndexIsBuiltAgain) {
  EXPECT_TRUE(Builds());
  // At opening, or when the damage is met.
  for (const std::string suffix : {"CURRENT", ".sst"}) {
    for (const std::string& file : Files(suffix)) {
      SCOPED_TRACE(file);
      std::string bytes = ReadFile(file);
      for (size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<char>(bytes[i] + 1);
      WriteFile(file, bytes);
      Builds();
      EXPECT_FALSE(Builds());
    }
  }
  for (const std::string suffix : {"CURRENT", ".sst"}) {
    for (const std::string& file : Files(suffix)) {
      SCOPED_TRACE(file);
      if (!fs::exists(file)) continue;  // the folder is not the one that was listed
      fs::resize_file(file, fs::file_size(file) / 2);
      EXPECT_TRUE(Builds());
      EXPECT_FALSE(Builds());
    }
  }
}

TEST_F(IndexTest, AForeignIndexIsBuiltAgain) {
  EXPECT_TRUE(Builds());
  const std::string own = IndexFolder();
  TemporaryFolder other;
  WriteFile(other / "image", Generated({.seed = 3}));
  ASSERT_TRUE(Index::Open(other / "image", {.directory = other / "index"}).ok());
  fs::remove_all(own);
  for (const auto& entry : fs::directory_iterator(other / "index")) {
    if (entry.is_directory()) fs::copy(entry.path(), own);
  }
  EXPECT_TRUE(Builds());
  EXPECT_FALSE(Builds());
  // A file where the folder should be.
  fs::remove_all(own);
  WriteFile(own, "garbage");
  EXPECT_TRUE(Builds());
  EXPECT_FALSE(Builds());
}

TEST_F(IndexTest, GoesOnWhenItsFilesVanish) {
  const auto index = Open();
  ASSERT_TRUE(index.ok());
  fs::remove_all(directory_);
  Check(**index);
  EXPECT_TRUE(Builds());
}

TEST_F(IndexTest, LeftoversOfACrashAreRemovedButNotWhatIsInUse) {
  EXPECT_TRUE(Builds());
  const std::string own = IndexFolder();
  fs::remove_all(own);
  const std::string crashed = directory_ + "/crashed";
  const std::string busy = directory_ + "/busy";
  for (const std::string& folder : {own + ".tmp", crashed + ".tmp", busy + ".tmp"}) {
    fs::create_directories(folder);
    WriteFile(folder + "/1.new", "half");
  }
  const UniqueFd lock(::open((busy + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  EXPECT_TRUE(Builds());
  EXPECT_FALSE(fs::exists(own + ".tmp"));
  EXPECT_FALSE(fs::exists(crashed + ".tmp"));
  EXPECT_TRUE(fs::exists(busy + ".tmp/1.new"));
}

TEST_F(IndexTest, BuildersWaitForEachOther) {
  std::atomic<int> builds = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      IndexOptions options{.directory = directory_};
      options.progress = [&](uint64_t done, uint64_t total) { builds += done == total; };
      const auto index = Index::Open(path_, options);
      ASSERT_TRUE(index.ok()) << index.status();
      Check(**index);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(builds, 1);
}

TEST_F(IndexTest, AFolderThatCannotBeUsedIsNamed) {
  WriteFile(folder_ / "file", "");
  for (const std::string& directory :
       {folder_ / "file", folder_ / "file/below", std::string("/proc/none")}) {
    const auto status = Index::Open(path_, {.directory = directory}).status();
    ASSERT_FALSE(status.ok()) << directory;
    EXPECT_TRUE(absl::StartsWith(status.message(), directory)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "--index DIR")) << status;
  }
}

TEST_F(IndexTest, AFullDiskLeavesNothingHalfBuilt) {
  // /dev/full has no folders: a limit on the size of files has the same effect.
  struct rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {.rlim_cur = 1 << 10, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto status = Open().status();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.message(), "--index DIR")) << status;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    EXPECT_EQ(entry.path().extension(), ".lock") << entry.path();
  }
  EXPECT_TRUE(Builds());
}

TEST_F(IndexTest, AReadOnlyCacheIsGoodEnough) {
  EXPECT_TRUE(Builds());
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    ::chmod(entry.path().c_str(), entry.is_directory() ? 0500 : 0400);
  }
  ::chmod(directory_.c_str(), 0500);
  const bool builds = Builds();
  ::chmod(directory_.c_str(), 0700);
  ::chmod(IndexFolder().c_str(), 0700);
  EXPECT_FALSE(builds);
}

TEST_F(IndexTest, AnImageThatIsReplacedInPlaceIsNotMistakenForTheOld) {
  const auto index = Open();
  ASSERT_TRUE(index.ok());
  WriteFile(path_, Generated({.seed = 4, .tasks = 6, .objects = 3000, .memory = 1 << 20}));
  const absl::Status status = ReadAll(**index);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), path_)) << status;
  EXPECT_TRUE(Builds());
}

TEST_F(IndexTest, WhatIsNoImageIsRefused) {
  WriteFile(path_, "hello");
  EXPECT_TRUE(absl::StartsWith(Open().status().message(), path_ + ": ")) << Open().status();
  EXPECT_TRUE(absl::IsInvalidArgument(Open().status())) << Open().status();
  WriteFile(path_, image_.substr(0, image_.size() - 1));
  EXPECT_TRUE(absl::IsDataLoss(Open().status())) << Open().status();
  EXPECT_TRUE(absl::IsNotFound(Index::Open(path_ + "x", {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Index::Open(folder_.path(), {}).status()));
}

TEST_F(IndexTest, ThreadsReadWhileItIsBuiltAgain) {
  const auto index = Open();
  ASSERT_TRUE(index.ok());
  for (const std::string& file : Files(".sst")) {
    std::string bytes = ReadFile(file);
    for (size_t i = 0; i < bytes.size() / 2; i += 3) bytes[i] = static_cast<char>(~bytes[i]);
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  const Tree tree(index->get(), {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Check(**index);
      uint64_t files = 0;
      const Inode folder = *tree.Resolve("objects/file");
      EXPECT_TRUE(tree.List(folder, 0, [&](const Entry&) { return ++files > 0; }).ok());
      EXPECT_EQ(files, (*index)->Count(*FindType("file")));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(Builds());
}

}  // namespace
}  // namespace crfs
