// SPDX-License-Identifier: Apache-2.0
//
// Whatever one file of a tree is changed to, exactly that is the difference; so no row is lost
// on the way from its file to the record and back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "index/codec.h"
#include "index/diff.h"
#include "index/loaded_checkpoint.h"
#include "tests/generate/values.h"
#include "tests/generate/write_tree.h"
#include "tests/property/tree_home.h"

namespace crfs {
namespace {

namespace fs = std::filesystem;

using EditTest = TreeHome;

// Rows that rules bind to one value, or to other files.
bool IsBound(const ObjectType& type, const Row& row) {
  static const std::set<std::string> kBound = {"checkpoint.arch", "checkpoint.page_size",
                                               "shmem.size"};
  return kBound.contains(absl::StrCat(type.name, ".", row.field));
}

Value OtherValue(const Row& row, const std::string& text, Random& random) {
  for (;;) {
    const Value value = RandomValue(row, random);
    if (FormatValue(row, value) != text) return value;
  }
}

TEST_F(EditTest, OneChangedFileIsOneDifference) {
  Generate({.tasks = 1});
  ASSERT_TRUE(WriteTree(*tree_, Path("tree")).ok());
  // What shows another file would have to change with it.
  for (const char* name : {"comm", "cred", "exe", "auxv", "cwd", "root", "umask", "sched",
                           "personality", "seccomp", "no_new_privs", "dumpable"}) {
    fs::remove_all(Path("tree/tasks/300/") + name);
  }
  Random random(7);
  Problems problems;
  const auto image = LoadedCheckpoint::FromImage(Path("image"));
  ASSERT_TRUE(image.ok()) << image.status();
  size_t rows = 0;
  for (const ObjectType& type : ObjectTypes()) {
    const ObjectView object = image->Get(type, image->Ids(type).front());
    for (const Row& row : type.rows) {
      if (row.path.empty() || row.wire == Wire::kNone || row.wire == Wire::kRef) continue;
      if (IsBound(type, row)) continue;
      const std::string where = image->Where(object, row.field);
      const std::string path = where.substr(where.find(": ") + 2);
      const std::string file = Path("tree/" + path);
      const std::string was = ReadFile(file);
      WriteFile(file, FormatValue(row, OtherValue(row, was, random)));
      const auto tree = LoadedCheckpoint::FromTree(Path("tree"), problems);
      ASSERT_TRUE(tree.ok()) << tree.status();
      ASSERT_TRUE(problems.empty()) << absl::StrJoin(problems, "\n");
      std::string text;
      StringSink sink(&text);
      const auto differ = DiffCheckpoints(*image, *tree, {}, sink);
      ASSERT_TRUE(differ.ok()) << differ.status();
      EXPECT_TRUE(*differ) << path;
      const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
      for (const std::string& line : lines) {
        EXPECT_TRUE(absl::StartsWith(line, path + ": ")) << path << "\n" << line;
      }
      WriteFile(file, was);
      ++rows;
    }
  }
  EXPECT_GT(rows, 200u);
  EXPECT_TRUE(IsTheImage());
}

}  // namespace
}  // namespace crfs
