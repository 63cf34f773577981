// SPDX-License-Identifier: Apache-2.0

#include "index/shape.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace crfs {
namespace {

std::string PathOf(const Shape& shape, const ShapeNode& node) {
  if (node.place == 0) return "";
  const std::string above = PathOf(shape, shape.nodes()[node.parent]);
  return (above.empty() ? "" : above + "/") + std::string(node.name);
}

TEST(ShapeTest, EveryRowHasItsPlace) {
  for (const ObjectType& type : ObjectTypes()) {
    const Shape& shape = ShapeOf(type);
    std::set<std::string> paths;
    for (const ShapeNode& node : shape.nodes()) {
      EXPECT_EQ(shape.AtPlace(node.place), &node);
      if (node.row != nullptr) {
        EXPECT_EQ(PathOf(shape, node), node.row->path) << type.name;
        EXPECT_EQ(node.place, node.row->index + 1);
        EXPECT_TRUE(node.nodes.empty() && node.types.empty());
      }
      EXPECT_TRUE(paths.insert(PathOf(shape, node)).second) << type.name << ": " << node.name;
      if (node.place == 0) continue;
      EXPECT_EQ(shape.Find(shape.nodes()[node.parent], node.name), &node);
    }
    for (const Row& row : type.rows) {
      EXPECT_EQ(paths.contains(std::string(row.path)), true) << type.name << "/" << row.path;
    }
  }
}

TEST(ShapeTest, OwnedObjectsStandInTheirFolder) {
  const ObjectType& thread = *FindType("thread");
  const Shape& task = ShapeOf(*FindType("task"));
  const ShapeNode* threads = task.FolderOf(thread);
  ASSERT_NE(threads, nullptr);
  EXPECT_EQ(PathOf(task, *threads), "threads");
  // Descriptors lie directly in their table.
  const Shape& fdtable = ShapeOf(*FindType("fdtable"));
  EXPECT_EQ(fdtable.FolderOf(*FindType("fd")), &fdtable.nodes()[0]);
  EXPECT_EQ(fdtable.FolderOf(thread), nullptr);
}

TEST(ShapeTest, TheRootHoldsAllTypesWithoutAnOwner) {
  for (const ObjectType& type : ObjectTypes()) {
    EXPECT_EQ(RootShape().FolderOf(type) != nullptr, type.owner.empty()) << type.name;
  }
  EXPECT_EQ(PathOf(RootShape(), *RootShape().FolderOf(*FindType("mm"))), "objects/mm");
  EXPECT_EQ(RootShape().FolderOf(*FindType("checkpoint"))->place, 0);
  EXPECT_EQ(SingleName(*FindType("checkpoint")), "checkpoint");
}

}  // namespace
}  // namespace crfs
