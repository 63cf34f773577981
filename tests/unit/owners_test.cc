// SPDX-License-Identifier: Apache-2.0
//
// To whom objects belong (Index::OwnerOf).

#include "index/owners.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/index.h"
#include "index/tree.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

class OwnersTest : public ::testing::Test {
 protected:
  void Open(const Edit& edit) {
    image_ = Edited(Generated({.tasks = 8}), edit);
    WriteFile(folder_ / "image", image_);
    auto index = Index::Open(folder_ / "image", {.directory = folder_ / "index"});
    ASSERT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{.list_views = true});
  }

  uid_t UidOf(const std::string& path) const {
    const auto inode = tree_->Resolve(path);
    EXPECT_TRUE(inode.ok()) << path;
    return inode.ok() ? tree_->Stat(*inode)->uid : 9999;
  }
  static std::string PathOf(absl::string_view type, uint64_t id) {
    return absl::StrCat("objects/", type, "/", id);
  }

  TemporaryFolder folder_;
  std::string image_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

// All credentials are of one user, all memory is dumpable.
std::optional<std::string> OneUser(const ObjectView& object) {
  if (object.type().name == "cred") {
    return *ObjectBuilder(object).SetNumber("euid", 1000).SetNumber("egid", 1001).Build();
  }
  if (object.type().name == "mm") return *ObjectBuilder(object).SetNumber("dumpable", 1).Build();
  return std::nullopt;
}

TEST_F(OwnersTest, EverythingBelongsToTheOnlyUser) {
  Open(OneUser);
  EXPECT_TRUE(index_->one_owner());
  const Parts parts(image_);
  for (const Object& object : parts.objects) {
    const auto owner = index_->OwnerOf(object.view().type(), object.view().id());
    EXPECT_EQ(owner->uid, 1000u);
    EXPECT_EQ(owner->gid, 1001u);
  }
  for (const std::string path : {"", "tasks", "objects/mm", ".views", ".views/blob"}) {
    EXPECT_EQ(UidOf(path), 1000u) << path;
  }
}

// The user -1 is none to the kernel: not even root could look at its files.
TEST_F(OwnersTest, WhatNobodyOwnsIsRoots) {
  Open([](const ObjectView& object) -> std::optional<std::string> {
    if (object.type().name != "cred") return OneUser(object);
    return *ObjectBuilder(object)
                .SetNumber("euid", UINT32_MAX)
                .SetNumber("egid", UINT32_MAX)
                .Build();
  });
  EXPECT_EQ(index_->main_owner().uid, 0u);
  EXPECT_EQ(index_->main_owner().gid, 0u);
  EXPECT_EQ(UidOf("tasks"), 0u);
}

TEST_F(OwnersTest, MemoryThatIsNotDumpableIsRoots) {
  Open([](const ObjectView& object) -> std::optional<std::string> {
    if (object.type().name == "mm") return *ObjectBuilder(object).SetNumber("dumpable", 2).Build();
    return OneUser(object);
  });
  const Parts parts(image_);
  bool zombies = false;
  EXPECT_EQ(index_->main_owner().uid, 0u);
  for (const Object& object : parts.objects) {
    const ObjectView& task = object.view();
    if (task.type().name != "task") continue;
    zombies |= task.Number("mm") == 0;
    const std::string pid = absl::StrCat(task.KeyNumber());
    if (!index_->FindKey(*FindType("thread"), task.id(), task.KeyNumber()).ok()) continue;
    EXPECT_EQ(UidOf("tasks/" + pid), task.Number("mm") == 0 ? 1000u : 0u);
    EXPECT_EQ(UidOf(".views/" + pid + "/status"), task.Number("mm") == 0 ? 1000u : 0u);
  }
  EXPECT_TRUE(zombies);
  EXPECT_FALSE(index_->one_owner());
  EXPECT_EQ(UidOf("objects/mm/1"), 0u);
}

// Each task of two users, by the parity of its id: what both refer to belongs to root.
TEST_F(OwnersTest, WhatSeveralUsersReferToIsRoots) {
  Open([&](const ObjectView& object) -> std::optional<std::string> {
    if (object.type().name == "cred") {
      return *ObjectBuilder(object)
                  .SetNumber("euid", 1000 + object.id() % 2)
                  .SetNumber("egid", object.id())
                  .Build();
    }
    return OneUser(object);
  });
  const Parts parts(image_);
  // The user of each task, then of all that it leads to.
  std::map<std::pair<std::string, uint64_t>, std::set<uint64_t>> users;
  std::function<void(const std::string&, uint64_t, uint64_t)> give =
      [&](const std::string& type, uint64_t id, uint64_t user) {
        if (id == 0 || !users[{type, id}].insert(user).second) return;
        const ObjectView& object = parts.Get(type, id);
        for (const Row& row : object.type().rows) {
          if (row.wire != Wire::kRef || row.access == Access::kOwner) continue;
          give(std::string(row.target), object.Number(row), user);
        }
        for (const Object& each : parts.objects) {
          const ObjectView& child = each.view();
          if (child.type().owner == type && child.OwnerId() == id) {
            give(std::string(child.type().name), child.id(), user);
          }
        }
      };
  // A zombie may have no thread: it then belongs to the root task's user.
  for (const Object& each : parts.objects) {
    const ObjectView& task = each.view();
    if (task.type().name != "task" || task.Number("mm") != 0) continue;
    const auto leader = index_->FindKey(*FindType("thread"), task.id(), task.KeyNumber());
    if (!leader.ok()) give("task", task.id(), index_->main_owner().uid);
  }
  for (const Object& each : parts.objects) {
    const ObjectView& thread = each.view();
    if (thread.type().name != "thread") continue;
    const ObjectView& task = parts.Get("task", thread.OwnerId());
    if (thread.KeyNumber() != task.KeyNumber()) continue;
    give("task", task.id(), parts.Get("cred", thread.Number("cred")).Number("euid"));
  }
  size_t mixed = 0;
  for (const Object& each : parts.objects) {
    const ObjectView& object = each.view();
    if (object.type().name == "checkpoint") continue;
    const auto& of = users[{std::string(object.type().name), object.id()}];
    mixed += of.size() > 1;
    const uint64_t expected = of.size() == 1 ? *of.begin() : 0;
    EXPECT_EQ(index_->OwnerOf(object.type(), object.id())->uid, expected)
        << object.type().name << " " << object.id();
  }
  EXPECT_GT(mixed, 0u);
  EXPECT_EQ(UidOf(".views/blob"), 0u);
  EXPECT_EQ(UidOf("tasks"), index_->main_owner().uid);
}

}  // namespace
}  // namespace crfs
