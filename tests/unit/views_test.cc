// SPDX-License-Identifier: Apache-2.0
//
// .views/PID/maps and status, character by character as /proc prints them.

#include "index/views.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/index.h"
#include "index/tree.h"
#include "index/tree_contents.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

uint64_t Parsed(const ObjectType& type, absl::string_view field, absl::string_view text) {
  const auto value = ParseValue(*type.Find(field), text);
  EXPECT_TRUE(value.ok()) << field << ": " << value.status();
  return value.ok() ? value->number : 0;
}

class ViewsTest : public ::testing::Test {
 protected:
  void Open(const Edit& edit) {
    image_ = Edited(Generated({.tasks = 4}), edit);
    WriteFile(folder_ / "image", image_);
    auto index = Index::Open(folder_ / "image", {.directory = folder_ / "index"});
    ASSERT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{});
  }

  // Of the first task with memory.
  std::string View(const std::string& name) const {
    const Parts parts(image_);
    for (const Object& each : parts.objects) {
      const ObjectView& task = each.view();
      if (task.type().name != "task" || task.Number("mm") == 0) continue;
      const auto inode = tree_->Resolve(absl::StrCat(".views/", task.KeyNumber(), "/", name));
      EXPECT_TRUE(inode.ok());
      return ReadContents(*tree_, *tree_->Stat(*inode)).value_or("?");
    }
    return "";
  }

  TemporaryFolder folder_;
  std::string image_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

TEST_F(ViewsTest, MapsOfAFile) {
  Open([](const ObjectView& object) -> std::optional<std::string> {
    const ObjectType& type = object.type();
    if (type.name == "vma") {
      return *ObjectBuilder(object)
                  .SetNumber("prot", Parsed(type, "prot", "r-xp\n"))
                  .SetNumber("offset", 0x2000)
                  .SetNumber("kind", CRFS_vma_kind_file)
                  .SetNumber("file", 1)
                  .SetNumber("shmem", 0)
                  .Build();
    }
    if (type.name == "file") {
      return *ObjectBuilder(object)
                  .SetNumber("dev", Parsed(type, "dev", "fe:00\n"))
                  .SetNumber("inode", 247134)
                  .SetBytes("path", "/usr/bin/a\nb c")
                  .SetNumber("deleted", 1)
                  .Build();
    }
    return std::nullopt;
  });
  const std::string maps = View("maps");
  const std::vector<std::string> lines = absl::StrSplit(maps, '\n');
  ASSERT_GT(lines.size(), 1u);
  EXPECT_EQ(lines.back(), "");
  const std::string range = lines[0].substr(0, lines[0].find(' '));
  std::string expected = range + " r-xp 00002000 fe:00 247134 ";
  expected.resize(73, ' ');
  EXPECT_EQ(lines[0], expected + "/usr/bin/a\\012b c (deleted)");
}

TEST_F(ViewsTest, MapsOfMemory) {
  uint64_t number = 0;
  Open([&](const ObjectView& object) -> std::optional<std::string> {
    const ObjectType& type = object.type();
    if (type.name == "vma") {
      ObjectBuilder vma(object);
      vma.SetNumber("prot", Parsed(type, "prot", "rw-p\n")).SetNumber("offset", 0x3000);
      vma.SetNumber("file", 0).SetNumber("shmem", 0).SetBytes("name", "");
      switch (number++) {
        case 0:
          return *vma.SetNumber("kind", CRFS_vma_kind_anon).Build();
        case 1:
          return *vma.SetNumber("kind", CRFS_vma_kind_heap).Build();
        case 2:
          return *vma.SetNumber("kind", CRFS_vma_kind_anon).SetBytes("name", "x").Build();
        default:
          return *vma.SetNumber("kind", CRFS_vma_kind_stack).Build();
      }
    }
    return std::nullopt;
  });
  const std::vector<std::string> lines = absl::StrSplit(View("maps"), '\n');
  ASSERT_GE(lines.size(), 4u);
  const std::string rest = " rw-p 00000000 00:00 0 ";
  auto line = [&](size_t i, const std::string& name) {
    std::string text = lines[i].substr(0, lines[i].find(' ')) + rest;
    if (!name.empty()) text.resize(73, ' ');
    return text + name;
  };
  EXPECT_EQ(lines[0], line(0, ""));
  EXPECT_EQ(lines[1], line(1, "[heap]"));
  EXPECT_EQ(lines[2], line(2, "[anon:x]"));
  EXPECT_EQ(lines[3], line(3, "[stack]"));
}

TEST_F(ViewsTest, Status) {
  Open([](const ObjectView& object) -> std::optional<std::string> {
    const ObjectType& type = object.type();
    if (type.name == "cred") {
      ObjectBuilder cred(object);
      for (const char* field : {"uid", "euid", "suid", "fsuid"}) cred.SetNumber(field, 1000);
      for (const char* field : {"gid", "egid", "sgid", "fsgid"}) cred.SetNumber(field, 100);
      for (const char* field :
           {"cap_inheritable", "cap_permitted", "cap_effective", "cap_ambient"}) {
        cred.SetNumber(field, 0);
      }
      cred.SetNumber("cap_bounding", 0x1ffffffffff);
      return *cred.SetBytes("groups", ParseValue(*type.Find("groups"), "24 27\n")->bytes).Build();
    }
    if (type.name == "thread") {
      return *ObjectBuilder(object)
                  .SetBytes("comm", "a\\b\nc")
                  .SetNumber("sigmask", 0x4002)
                  .SetNumber("no_new_privs", 1)
                  .SetNumber("seccomp", 2)
                  .SetBytes("nstid", ParseValue(*type.Find("nstid"), "7 1\n")->bytes)
                  .Build();
    }
    if (type.name == "fs") return *ObjectBuilder(object).SetNumber("umask", 022).Build();
    if (type.name == "fdtable") return *ObjectBuilder(object).SetNumber("size", 256).Build();
    if (type.name == "mm") return *ObjectBuilder(object).SetNumber("thp_disable", 0).Build();
    if (type.name == "task") {
      return *ObjectBuilder(object)
                  .SetNumber("ppid", 5)
                  .SetBytes("nspid", ParseValue(*type.Find("nspid"), "7 1\n")->bytes)
                  .Build();
    }
    return std::nullopt;
  });
  const std::string status = View("status");
  auto has = [&](const std::string& lines) {
    EXPECT_NE(status.find(lines), std::string::npos) << lines << "in\n" << status;
  };
  has("Name:\ta\\\\b\\nc\nUmask:\t0022\nState:\t");
  has("\nPPid:\t5\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nFDSize:\t256\n"
      "Groups:\t24 27 \nNStgid:\t7\t1\nNSpid:\t7\t1\nTHP_enabled:\t1\nThreads:\t");
  has("\nSigBlk:\t0000000000004002\nSigIgn:\t");
  has("\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
      "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

}  // namespace
}  // namespace crfs
