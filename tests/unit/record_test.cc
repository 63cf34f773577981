// SPDX-License-Identifier: Apache-2.0

#include "index/record.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "crfs/image.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

TEST(RecordTest, BodyIsTheStructAndItsBytes) {
  const ObjectType& type = *FindType("pipe");
  ObjectBuilder builder(type);
  builder.SetNumber("inode", 42).SetNumber("capacity", 65536).SetNumber("readers", 1);
  builder.SetBytes("data", "hello").SetBytes("packets", "");
  const std::string body = *builder.Build();
  ASSERT_EQ(body.size(), sizeof(crfs_body) + sizeof(crfs_pipe) + 5);
  crfs_pipe pipe;
  std::memcpy(&pipe, body.data() + sizeof(crfs_body), sizeof(pipe));
  EXPECT_EQ(pipe.inode, 42u);
  EXPECT_EQ(pipe.capacity, 65536u);
  EXPECT_EQ(pipe.readers, 1u);
  EXPECT_EQ(pipe.writers, 0u);
  EXPECT_EQ(pipe.data.offset, sizeof(crfs_body) + sizeof(crfs_pipe));
  EXPECT_EQ(pipe.data.length, 5u);
  EXPECT_EQ(pipe.packets.offset, 0u);
  EXPECT_EQ(body.substr(pipe.data.offset), "hello");

  const auto view = ObjectView::Parse(type, 7, body);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->id(), 7u);
  EXPECT_EQ(view->Number("capacity"), 65536u);
  EXPECT_EQ(view->Bytes("data"), "hello");
  EXPECT_EQ(view->Bytes("packets"), "");
  EXPECT_TRUE(view->Has(*type.Find("packets")));
  EXPECT_FALSE(view->Has(*type.Find("id")));
}

TEST(RecordTest, SignedNumbersAreWidenedByTheirSign) {
  ObjectBuilder builder(*FindType("thread"));
  builder.SetNumber("nice", static_cast<uint64_t>(-20));
  builder.SetNumber("syscall_nr", static_cast<uint64_t>(-1));
  builder.SetNumber("personality", 0xffffffff);
  const std::string body = *builder.Build();
  const auto view = ObjectView::Parse(*FindType("thread"), 1, body);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(static_cast<int64_t>(view->Number("nice")), -20);
  EXPECT_EQ(static_cast<int64_t>(view->Number("syscall_nr")), -1);
  EXPECT_EQ(view->Number("personality"), 0xffffffffu);
}

TEST(RecordTest, ABuilderGoesOnFromAnObject) {
  ObjectBuilder first(*FindType("file"));
  first.SetBytes("path", "/tmp/a").SetNumber("pos", 5).SetBytes("fdinfo", "pos:\t5\n");
  const std::string body = *first.Build();
  const auto view = ObjectView::Parse(*FindType("file"), 1, body);
  ASSERT_TRUE(view.ok());
  ObjectBuilder second(*view);
  EXPECT_EQ(*second.Build(), body);
  const std::string changed = *second.SetBytes("path", "/tmp/longer").Build();
  const auto after = ObjectView::Parse(*FindType("file"), 1, changed);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->Bytes("path"), "/tmp/longer");
  EXPECT_EQ(after->Bytes("fdinfo"), "pos:\t5\n");
  EXPECT_EQ(after->Number("pos"), 5u);
}

TEST(RecordTest, TooLongABodyIsRefused) {
  ObjectBuilder builder(*FindType("pipe"));
  builder.SetBytes("data", std::string(CRFS_RECORD_BODY_MAX - 48, 'x'));
  EXPECT_TRUE(builder.Build().ok());
  builder.SetBytes("packets", "1234");
  EXPECT_TRUE(absl::IsResourceExhausted(builder.Build().status()));
}

TEST(RecordTest, Names) {
  struct Named {
    const char* type;
    const char* field;
    uint64_t number;
    const char* name;
    uint64_t key;
  };
  const Named kNamed[] = {
      {"checkpoint", "time", 1, "", 0}, {"file", "inode", 9, "3", 3},
      {"task", "pid", 981, "981", 981}, {"sigaction", "signal", 10, "SIGUSR1", 10},
      {"fd", "fd", 0, "0", 0},
  };
  for (const Named& named : kNamed) {
    ObjectBuilder builder(*FindType(named.type));
    const std::string body = *builder.SetNumber(named.field, named.number).Build();
    const auto view = ObjectView::Parse(*FindType(named.type), 3, body);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->DirectoryName(), named.name) << named.type;
    EXPECT_EQ(view->KeyNumber(), named.key) << named.type;
    EXPECT_EQ(view->OwnerId(), 0u);
  }
  ObjectBuilder vma(*FindType("vma"));
  vma.SetNumber("mm", 4).SetNumber("start", 0x400000).SetNumber("end", 0x452000);
  const std::string body = *vma.Build();
  const auto view = ObjectView::Parse(*FindType("vma"), 1, body);
  EXPECT_EQ(view->DirectoryName(), "00400000-00452000");
  EXPECT_EQ(view->KeyNumber(), 0x400000u);
  EXPECT_EQ(view->OwnerId(), 4u);
}

}  // namespace
}  // namespace crfs
