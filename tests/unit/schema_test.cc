// SPDX-License-Identifier: Apache-2.0

#include "index/schema.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

TEST(SchemaTest, OffsetsAreThoseOfTheStructs) {
  EXPECT_EQ(FindType("thread")->Find("sigmask")->offset, offsetof(crfs_thread, sigmask));
  EXPECT_EQ(FindType("task")->Find("ns_time")->offset, offsetof(crfs_task, ns_time));
  EXPECT_EQ(FindType("file")->Find("shmem")->offset, offsetof(crfs_file, shmem));
}

TEST(SchemaTest, NamesAreUnique) {
  std::set<absl::string_view> types;
  for (const ObjectType& type : ObjectTypes()) {
    EXPECT_TRUE(types.insert(type.name).second) << type.name;
    std::set<absl::string_view> fields, paths;
    for (const Row& row : type.rows) {
      EXPECT_TRUE(fields.insert(row.field).second) << type.name << "." << row.field;
      if (!row.path.empty()) {
        EXPECT_TRUE(paths.insert(row.path).second) << type.name << "/" << row.path;
      }
    }
  }
}

TEST(SchemaTest, TypesAreFoundByTagAndName) {
  for (const ObjectType& type : ObjectTypes()) {
    EXPECT_EQ(FindType(type.tag), &type);
    EXPECT_EQ(FindType(type.name), &type);
  }
  EXPECT_EQ(FindType(0u), nullptr);
  EXPECT_EQ(FindType("none"), nullptr);
}

TEST(SchemaTest, ReferencesPointBackwards) {
  for (const ObjectType& type : ObjectTypes()) {
    for (const Row& row : type.rows) {
      if (row.wire != Wire::kRef) continue;
      ASSERT_NE(FindType(row.target), nullptr) << row.target;
      if (type.name == "checkpoint" && row.field == "root") continue;
      EXPECT_LT(TargetOf(row).tag, type.tag) << type.name << "." << row.field;
    }
  }
}

TEST(SchemaTest, OwnedTypesHaveAnOwnerRowAndAKey) {
  for (const ObjectType& type : ObjectTypes()) {
    const Row* owner = FindAccess(type, Access::kOwner);
    if (type.owner.empty()) {
      EXPECT_EQ(owner, nullptr) << type.name;
    } else {
      ASSERT_NE(owner, nullptr) << type.name;
      EXPECT_EQ(owner->target, type.owner);
    }
    const bool keyed = type.key != Key::kSingle && type.key != Key::kId;
    EXPECT_EQ(FindAccess(type, Access::kKey) != nullptr, keyed) << type.name;
  }
}

}  // namespace
}  // namespace crfs
