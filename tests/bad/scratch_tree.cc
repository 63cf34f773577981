// SPDX-License-Identifier: Apache-2.0

#include "tests/bad/scratch_tree.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "index/index.h"
#include "tests/generate/generate.h"

namespace crfs {
namespace {

constexpr auto kCopy =
    std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;

}  // namespace

ScratchTree::ScratchTree(const WriteTreeOptions& options) {
  // In memory if possible: a tree is a thousand small files, made again for each test.
  const bool in_memory = ::access("/dev/shm", W_OK) == 0;
  std::string home =
      (in_memory ? std::string("/dev/shm") : ::testing::TempDir()) + "/crfs-tree-XXXXXX";
  EXPECT_NE(::mkdtemp(home.data()), nullptr);
  home_ = home;
  path_ = home_ + "/tree";
  std::string image;
  StringSink sink(&image);
  EXPECT_TRUE(GenerateImage({.tasks = 1}, sink).ok());
  std::ofstream(home_ + "/image", std::ios::binary) << image;
  const auto index = Index::Open(home_ + "/image", {.directory = home_ + "/index"});
  EXPECT_TRUE(index.ok()) << index.status();
  const absl::Status status = WriteTree(Tree(index->get(), {}), home_ + "/first", options);
  EXPECT_TRUE(status.ok()) << status;
  Reset();
}

ScratchTree::~ScratchTree() { std::filesystem::remove_all(home_); }

void ScratchTree::Reset() {
  std::filesystem::remove_all(path_);
  std::filesystem::copy(home_ + "/first", path_, kCopy);
}

bool ScratchTree::Run(const std::string& script) const {
  return std::system(absl::StrCat("cd '", path_, "' && { ", script, "\n}").c_str()) == 0;
}

}  // namespace crfs
