// SPDX-License-Identifier: Apache-2.0

#include "index/tree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/index.h"
#include "index/tree_contents.h"
#include "index/tree_path.h"
#include "tests/unit/test_image.h"

namespace crfs {
namespace {

struct Named {
  std::string name;
  Attributes attributes;
  uint64_t next;
};

class TreeTest : public ::testing::Test {
 protected:
  TreeTest() : image_(Generated({.tasks = 6, .objects = 400})), parts_(image_) {
    WriteFile(folder_ / "image", image_);
    auto index = Index::Open(folder_ / "image", {.directory = folder_ / "index"});
    EXPECT_TRUE(index.ok()) << index.status();
    index_ = *std::move(index);
    tree_ = std::make_unique<Tree>(index_.get(), TreeOptions{.list_views = true});
  }

  std::vector<Named> List(Inode directory, uint64_t from = 0, size_t most = SIZE_MAX) const {
    std::vector<Named> entries;
    auto status = tree_->List(directory, from, [&](const Entry& entry) {
      entries.push_back({std::string(entry.name), entry.attributes, entry.next});
      return entries.size() < most;
    });
    EXPECT_TRUE(status.ok()) << status;
    return entries;
  }

  // Calls visit(path, directory, entry) for all entries of the tree.
  template <typename Visit>
  void Walk(Visit visit, Inode directory = kRootInode, const std::string& path = "") const {
    for (const Named& entry : List(directory)) {
      const std::string child = absl::StrCat(path, "/", entry.name);
      visit(child, directory, entry);
      if (S_ISDIR(entry.attributes.mode)) Walk(visit, entry.attributes.inode, child);
    }
  }

  // Where the schema says that an object's directory is.
  std::string PathOf(const ObjectView& object) const {
    std::string path;
    if (const ObjectType* owner = OwnerOf(object.type()); owner != nullptr) {
      path = PathOf(parts_.Get(owner->name, object.OwnerId())) + "/";
    }
    absl::StrAppend(&path, object.type().place);
    if (object.type().key == Key::kSingle) return path;
    if (!path.empty() && path.back() != '/') path += "/";
    return path + object.DirectoryName();
  }

  std::string Contents(const std::string& path) const {
    auto inode = tree_->Resolve(path);
    if (!inode.ok()) return absl::StrCat(path, ": ", inode.status().message());
    auto text = ReadContents(*tree_, *tree_->Stat(*inode));
    EXPECT_TRUE(text.ok()) << path << ": " << text.status();
    return text.value_or("");
  }

  TemporaryFolder folder_;
  const std::string image_;
  const Parts parts_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<Tree> tree_;
};

bool Same(const Attributes& a, const Attributes& b) {
  return a.inode == b.inode && a.mode == b.mode && a.nlink == b.nlink && a.uid == b.uid &&
         a.gid == b.gid && a.size == b.size && a.blocks == b.blocks && a.time_ns == b.time_ns;
}

TEST_F(TreeTest, EveryStoredRowIsThere) {
  for (const Object& each : parts_.objects) {
    const ObjectView& object = each.view();
    const std::string directory = PathOf(object);
    for (const Row& row : object.type().rows) {
      if (row.path.empty() || row.wire == Wire::kNone) continue;
      const std::string path = absl::StrCat(directory, "/", row.path);
      const auto inode = tree_->Resolve(path);
      if (row.wire != Wire::kRef) {
        Value value;
        if (row.wire == Wire::kBytes) {
          value.bytes = std::string(object.Bytes(row));
        } else {
          value.number = object.Number(row);
        }
        EXPECT_EQ(Contents(path), FormatValue(row, value)) << path;
        const mode_t mode = row.access == Access::kRw ? 0600 : 0400;
        EXPECT_EQ(tree_->Stat(*inode)->mode, S_IFREG | mode) << path;
      } else if (object.Number(row) == 0) {
        EXPECT_TRUE(absl::IsNotFound(inode.status())) << path;
      } else {
        const auto target = ResolvePath(*tree_, path, true);
        ASSERT_TRUE(target.ok()) << path << ": " << target.status();
        EXPECT_EQ(*tree_->GetXattr(*target, "user.crfs.type"), row.target);
        EXPECT_EQ(*tree_->GetXattr(*target, "user.crfs.id"), absl::StrCat(object.Number(row)));
        EXPECT_EQ(*target, *tree_->Resolve(PathOf(parts_.Get(row.target, object.Number(row)))));
      }
    }
  }
}

TEST_F(TreeTest, ComputedRowsAreThere) {
  std::map<std::pair<std::string, uint64_t>, uint64_t> refs;
  for (const Object& each : parts_.objects) {
    for (const Row& row : each.view().type().rows) {
      if (row.wire != Wire::kRef || row.access == Access::kOwner) continue;
      ++refs[{std::string(row.target), each.view().Number(row)}];
    }
  }
  for (const Object& each : parts_.objects) {
    const ObjectView& object = each.view();
    const std::string directory = PathOf(object);
    if (object.type().Find("id") != nullptr) {
      EXPECT_EQ(Contents(directory + "/id"), absl::StrCat(object.id(), "\n"));
    }
    if (object.type().Find("refs") != nullptr) {
      const auto it = refs.find({std::string(object.type().name), object.id()});
      EXPECT_EQ(Contents(directory + "/refs"),
                absl::StrCat(it == refs.end() ? 0 : it->second, "\n"))
          << directory;
    }
    if (object.type().name != "task") continue;
    const std::string pid = absl::StrCat(object.KeyNumber());
    EXPECT_EQ(Contents(directory + "/comm"), Contents(directory + "/threads/" + pid + "/comm"));
    EXPECT_EQ(ResolvePath(*tree_, directory + "/cred", true).value_or(0),
              ResolvePath(*tree_, directory + "/threads/" + pid + "/cred", true).value_or(0));
    if (object.Number("mm") == 0) {
      EXPECT_TRUE(absl::IsNotFound(tree_->Resolve(directory + "/exe").status()));
      EXPECT_TRUE(absl::IsNotFound(tree_->Resolve(directory + "/auxv").status()));
      continue;
    }
    const std::string mm = absl::StrCat("objects/mm/", object.Number("mm"));
    EXPECT_EQ(Contents(directory + "/auxv"), Contents(mm + "/auxv"));
    EXPECT_EQ(ResolvePath(*tree_, directory + "/exe", true).value_or(0),
              ResolvePath(*tree_, mm + "/exe", true).value_or(0));
  }
  EXPECT_EQ(Contents("checkpoint/format"), absl::StrCat(CRFS_FORMAT_VERSION, "\n"));
}

TEST_F(TreeTest, ListingLookupAndStatAgree) {
  std::set<Inode> inodes = {kRootInode};
  std::map<Inode, uint64_t> subdirectories;
  std::map<Inode, Attributes> directories = {{kRootInode, *tree_->Stat(kRootInode)}};
  uint64_t objects = 0;
  Walk([&](const std::string& path, Inode directory, const Named& entry) {
    const Attributes& attributes = entry.attributes;
    EXPECT_TRUE(inodes.insert(attributes.inode).second) << path;
    const auto found = tree_->Lookup(directory, entry.name);
    ASSERT_TRUE(found.ok()) << path << ": " << found.status();
    EXPECT_TRUE(Same(*found, attributes)) << path;
    const auto stat = tree_->Stat(attributes.inode);
    ASSERT_TRUE(stat.ok()) << path << ": " << stat.status();
    EXPECT_TRUE(Same(*stat, attributes)) << path;
    EXPECT_EQ(attributes.time_ns, index_->time_ns());
    if (S_ISDIR(attributes.mode)) {
      EXPECT_EQ(*tree_->Parent(attributes.inode), directory) << path;
      ++subdirectories[directory];
      directories[attributes.inode] = attributes;
      const bool fixed = attributes.inode < 4096;
      EXPECT_EQ(attributes.mode & 0777, path == "/.views"                ? 0555u
                                        : path.substr(0, 7) == "/.views" ? 0500u
                                        : fixed                          ? 0755u
                                                                         : 0700u)
          << path;
      const auto id = tree_->GetXattr(attributes.inode, "user.crfs.id");
      if (id.ok() && tree_->GetXattr(attributes.inode, "user.crfs.doc").ok()) ++objects;
    } else if (S_ISLNK(attributes.mode)) {
      EXPECT_EQ(tree_->ReadLink(attributes.inode)->size(), attributes.size) << path;
      EXPECT_TRUE(ResolvePath(*tree_, path, true).ok()) << path;
    } else {
      const uint64_t step = 1 << 20;
      const uint64_t from = attributes.size > step ? attributes.size - step : 0;
      const auto contents = tree_->Read(attributes.inode, from, step + 1);
      ASSERT_TRUE(contents.ok()) << path << ": " << contents.status();
      uint64_t length = 0;
      for (const Piece& piece : *contents) length += piece.length;
      EXPECT_EQ(from + length, attributes.size) << path;
    }
  });
  EXPECT_EQ(objects, parts_.objects.size());
  for (const auto& [inode, attributes] : directories) {
    if (attributes.nlink == 1) continue;
    EXPECT_EQ(attributes.nlink, 2 + subdirectories[inode]) << inode;
  }
}

TEST_F(TreeTest, ListingGoesOnFromAnywhere) {
  Walk([&](const std::string& path, Inode, const Named& entry) {
    if (!S_ISDIR(entry.attributes.mode)) return;
    const std::vector<Named> all = List(entry.attributes.inode);
    uint64_t from = 0;
    for (const Named& expected : all) {
      const auto one = List(entry.attributes.inode, from, 1);
      ASSERT_EQ(one.size(), 1u) << path;
      EXPECT_EQ(one[0].name, expected.name) << path;
      EXPECT_EQ(one[0].next, expected.next) << path;
      EXPECT_LT(one[0].next, uint64_t{INT64_MAX});
      from = one[0].next;
    }
    EXPECT_TRUE(List(entry.attributes.inode, from).empty()) << path;
  });
}

TEST_F(TreeTest, ObjectsAreListedInNumericOrder) {
  uint64_t last = 0;
  for (const Named& entry : List(*tree_->Resolve("objects/file"))) {
    EXPECT_GT(std::stoull(entry.name), last);
    last = std::stoull(entry.name);
  }
  EXPECT_EQ(last, index_->Count(*FindType("file")));
}

TEST_F(TreeTest, NamesHaveOneForm) {
  const uint64_t pid = parts_.Get("task", 1).KeyNumber();
  EXPECT_TRUE(tree_->Resolve(absl::StrCat("tasks/", pid)).ok());
  for (const std::string& path :
       {absl::StrCat("tasks/0", pid), absl::StrCat("tasks/+", pid), absl::StrCat("tasks/ ", pid),
        std::string("objects/mm/0"), std::string("objects/mm/18446744073709551617"),
        std::string("objects/mm/1/vmas/1000-2000"), std::string("objects/none"),
        std::string("tasks/x"), std::string("checkpoint/1"), std::string("views")}) {
    EXPECT_TRUE(absl::IsNotFound(tree_->Resolve(path).status())) << path;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(tree_->Resolve("checkpoint/uuid/x").status()));
}

TEST_F(TreeTest, ViewsAreListedOnRequestAloneButAlwaysThere) {
  const Tree plain(index_.get(), {});
  std::set<std::string> names;
  ASSERT_TRUE(plain
                  .List(kRootInode, 0,
                        [&](const Entry& entry) {
                          names.insert(std::string(entry.name));
                          return true;
                        })
                  .ok());
  EXPECT_EQ(names, (std::set<std::string>{"checkpoint", "objects", "tasks"}));
  EXPECT_EQ(plain.Stat(kRootInode)->nlink, 5u);
  EXPECT_TRUE(plain.Resolve(".views/blob").ok());
}

TEST_F(TreeTest, AnyInodeNumberIsAnswered) {
  std::mt19937_64 random(1);
  std::set<Inode> known = {kRootInode};
  Walk(
      [&](const std::string&, Inode, const Named& entry) { known.insert(entry.attributes.inode); });
  std::vector<Inode> tries = {0, UINT64_MAX};
  for (Inode i = 0; i < 5000; ++i) tries.push_back(i);
  for (uint64_t area = 0; area < 256; ++area) {
    for (uint64_t id : {uint64_t{0}, uint64_t{1}, uint64_t{999999}, uint64_t{CRFS_ID_MAX}}) {
      for (uint64_t place : {0, 1, 2, 16, 17, 18, 19, 100, 2047, 2048, 2049, 4095}) {
        tries.push_back(area << 56 | id << 12 | place);
      }
    }
  }
  for (int i = 0; i < 20000; ++i) tries.push_back(random());
  for (const Inode inode : tries) {
    const auto stat = tree_->Stat(inode);
    if (!known.contains(inode)) {
      EXPECT_TRUE(absl::IsNotFound(stat.status())) << std::hex << inode << stat.status();
    }
    auto any = [](const Entry&) { return true; };
    (void)tree_->Lookup(inode, "1");
    (void)tree_->List(inode, random(), any).ok();
    (void)tree_->Parent(inode).ok();
    (void)tree_->ReadLink(inode).ok();
    (void)tree_->Read(inode, random(), random()).ok();
    (void)tree_->SeekData(inode, random()).ok();
    (void)tree_->SeekHole(inode, 0).ok();
    (void)tree_->ListXattrs(inode);
  }
}

TEST_F(TreeTest, XattrsTellWhatTheSchemaSays) {
  const Inode flags = *tree_->Resolve("objects/file/1/flags");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.type"), "file");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.id"), "1");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.access"), "rw");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.restart"), "restore");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.codec"), "open_flags");
  EXPECT_EQ(*tree_->GetXattr(flags, "user.crfs.doc"), FindType("file")->Find("flags")->doc);
  EXPECT_EQ(tree_->ListXattrs(flags).size(), 6u);
  EXPECT_TRUE(absl::IsNotFound(tree_->GetXattr(flags, "user.other").status()));
  EXPECT_TRUE(tree_->ListXattrs(kRootInode).empty());
  Walk([&](const std::string& path, Inode, const Named& entry) {
    for (const std::string& name : tree_->ListXattrs(entry.attributes.inode)) {
      EXPECT_TRUE(tree_->GetXattr(entry.attributes.inode, name).ok()) << path << " " << name;
    }
  });
}

}  // namespace
}  // namespace crfs
