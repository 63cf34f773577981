// SPDX-License-Identifier: Apache-2.0

#include "engine/unsupported.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crfs/words.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A task with one descriptor of the given kind.
class UnsupportedTest : public testing::Test {
 protected:
  void SetUp() override {
    Add(ObjectBuilder(*FindType("task")).SetNumber("pid", 1 << 21).SetNumber("fd", 1));
    Add(ObjectBuilder(*FindType("fdtable")));
  }

  void Add(const ObjectBuilder& object) { ASSERT_TRUE(snapshot_.Add(object).ok()); }

  void AddDescriptor(const ObjectBuilder& file) {
    Add(file);
    Add(ObjectBuilder(*FindType("fd"))
            .SetNumber("fdtable", 1)
            .SetNumber("fd", 5)
            .SetNumber("file", snapshot_.Count(*FindType("file"))));
  }

  static ObjectBuilder File(uint64_t kind) {
    ObjectBuilder file(*FindType("file"));
    file.SetNumber("kind", kind).SetBytes("path", "/some/path");
    return file;
  }

  std::vector<std::string> Found() {
    auto found = FindUnsupported(snapshot_);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }

  Snapshot snapshot_;
};

TEST_F(UnsupportedTest, PlainKindsAreSupported) {
  for (const uint64_t kind : {CRFS_file_kind_regular, CRFS_file_kind_directory, CRFS_file_kind_pipe,
                              CRFS_file_kind_fifo, CRFS_file_kind_tty}) {
    AddDescriptor(File(kind));
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(UnsupportedTest, EveryOtherKindIsNamedWithItsPlace) {
  for (const Word& word : FindType("file")->Find("kind")->words) {
    if (word.value < CRFS_file_kind_epoll || word.name == "symlink") continue;
    Snapshot fresh;
    std::swap(snapshot_, fresh);
    SetUp();
    AddDescriptor(File(word.value));
    EXPECT_THAT(Found(), ElementsAre(testing::AllOf(HasSubstr("objects/fdtable/1/5: "),
                                                    HasSubstr(std::string(word.name)))));
  }
}

TEST_F(UnsupportedTest, DevicesWithoutStateAreSupported) {
  AddDescriptor(File(CRFS_file_kind_chardev).SetNumber("rdev", (1ull << 32) | 3));  // null
  EXPECT_THAT(Found(), IsEmpty());
  AddDescriptor(File(CRFS_file_kind_chardev).SetNumber("rdev", (10ull << 32) | 200));  // tun
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("is the device /some/path")));
}

TEST_F(UnsupportedTest, DeletedFileIsNamed) {
  AddDescriptor(File(CRFS_file_kind_regular).SetNumber("deleted", 1));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("is a deleted file, /some/path")));
}

TEST_F(UnsupportedTest, BlockersAreInWords) {
  Add(ObjectBuilder(*FindType("thread"))
          .SetNumber("task", 1)
          .SetNumber("tid", 77)
          .SetNumber("blockers", 1u << CRFS_blockers_ptraced | 1u << CRFS_blockers_ldt));
  EXPECT_THAT(Found(), ElementsAre(testing::AllOf(HasSubstr("tasks/2097152/threads/77: "),
                                                  HasSubstr("ptraced ldt"))));
}

TEST_F(UnsupportedTest, SeccompFilterIsNamed) {
  Add(ObjectBuilder(*FindType("thread")).SetNumber("task", 1).SetNumber("seccomp", 2));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("seccomp filter")));
}

}  // namespace
}  // namespace crfs
