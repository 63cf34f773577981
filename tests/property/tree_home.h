// SPDX-License-Identifier: Apache-2.0
//
// A generated image in a directory of its own, and its tree beside it.

#ifndef CRFS_TESTS_PROPERTY_TREE_HOME_H_
#define CRFS_TESTS_PROPERTY_TREE_HOME_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "index/index.h"
#include "index/tree.h"
#include "tests/generate/generate.h"

namespace crfs {

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);

class TreeHome : public ::testing::Test {
 protected:
  TreeHome();
  ~TreeHome() override;

  std::string Path(const std::string& name) const { return home_ + "/" + name; }
  // Makes an image at Path("image"); `tree_` shows it.
  void Generate(const GenerateOptions& options);
  // Whether the tree below Path("tree") is the image.
  ::testing::AssertionResult IsTheImage() const;

  std::string home_;
  std::string image_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

}  // namespace crfs

#endif  // CRFS_TESTS_PROPERTY_TREE_HOME_H_
