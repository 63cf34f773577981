// SPDX-License-Identifier: Apache-2.0
//
// Each rule that binds records, broken alone: the reader names it, and the place.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/image_reader.h"
#include "tests/bad/forge.h"

namespace crfs {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using std::string_literals::operator""s;

class NoVisitor : public ImageVisitor {
 public:
  absl::Status Object(const ObjectView&, uint64_t) override { return absl::OkStatus(); }
};

absl::Status Read(const std::string& image) {
  StringSource source(image);
  NoVisitor visitor;
  return ReadImage(source, visitor);
}

struct Broken {
  const char* message;
  std::function<void(Forge&)> change;
  absl::StatusCode code = absl::StatusCode::kDataLoss;
};

void ExpectAllSeen(const std::vector<Broken>& all) {
  for (const Broken& broken : all) {
    Forge forge(SmallImage());
    broken.change(forge);
    const absl::Status status = Read(forge.Build());
    EXPECT_EQ(status.code(), broken.code) << status << "\nnot: " << broken.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(broken.message));
    if (broken.code == absl::StatusCode::kDataLoss) {
      EXPECT_THAT(std::string(status.message()), StartsWith("at byte "));
    }
  }
}

// A copy of an object under another id, right after it.
void Repeat(Forge& forge, absl::string_view type, uint64_t id, uint64_t copy_id) {
  const size_t place = forge.Find(type, id);
  Forge::Record copy = forge.records[place];
  copy.id = copy_id;
  forge.records.insert(forge.records.begin() + place + 1, copy);
}

void Remove(Forge& forge, absl::string_view type, uint64_t id) {
  forge.records.erase(forge.records.begin() + forge.Find(type, id));
}

TEST(RulesTest, AForgedCopyIsTheSame) { EXPECT_TRUE(Forge(SmallImage()).Build() == SmallImage()); }

TEST(RulesTest, Order) {
  ExpectAllSeen({
      {"record of ns 1: the record of the checkpoint is not first",
       [](Forge& f) { Remove(f, "checkpoint", 1); }},
      {"record of checkpoint 2: the id of the checkpoint is not 1",
       [](Forge& f) { f.Get("checkpoint", 1).id = 2; }},
      {"there is a second checkpoint", [](Forge& f) { Repeat(f, "checkpoint", 1, 2); }},
      {"record of pipe 2: there are two with this id", [](Forge& f) { Repeat(f, "pipe", 2, 2); }},
      {"record of pipe 1: it comes after pipe 2", [](Forge& f) { Repeat(f, "pipe", 2, 1); }},
      {"it comes after objects of type cred",
       [](Forge& f) {
         const size_t cred = f.Find("cred", 1);
         std::swap(f.records[cred - 1], f.records[cred]);
       }},
      {"its id is not between 1 and 17592186044415", [](Forge& f) { f.Get("ns", 1).id = 0; }},
      {"its id is not between 1 and 17592186044415",
       [](Forge& f) { f.Get("ns", 10).id = CRFS_ID_MAX + 1; }},
      {"record of vma 4: its id should be 3", [](Forge& f) { Remove(f, "vma", 3); }},
      {"record of vma 2: its id should be 1", [](Forge& f) { Remove(f, "vma", 1); }},
      {"record of fd 4: it belongs to fdtable 1 and comes after one of fdtable 2",
       [](Forge& f) { f.Set("fd", 3, "fdtable", 2); }},
      {"record of fd 2: there are two named 0 in fdtable 1",
       [](Forge& f) { f.Set("fd", 2, "fd", uint64_t{0}); }},
      {"record of fd 3: it is out of order: 0 in fdtable 1",
       [](Forge& f) { f.Set("fd", 3, "fd", uint64_t{0}); }},
      {"there are two named SIGHUP in sighand 1",
       [](Forge& f) { f.Set("sigaction", 2, "signal", 1); }},
      {"objects come before extents and data",
       [](Forge& f) {
         const size_t last = static_cast<size_t>(&f.Extents(0) - f.records.data()) - 1;
         std::swap(f.records[last], f.records[last + 1]);
       }},
  });
}

TEST(RulesTest, References) {
  ExpectAllSeen({
      {"record of thread 1: row cred: there is no cred 99",
       [](Forge& f) { f.Set("thread", 1, "cred", 99); }},
      {"record of fs 1: row cwd: there is no file 18446744073709551615",
       [](Forge& f) { f.Set("fs", 1, "cwd", UINT64_MAX); }},
      {"record of fd 8: it belongs to fdtable 77, which there is not",
       [](Forge& f) { f.Set("fd", 8, "fdtable", 77); }},
      {"record of vma 1: it belongs to mm 0, which there is not",
       [](Forge& f) { f.Set("vma", 1, "mm", uint64_t{0}); }},
      {"the checkpoint's root is task 5, which there is not",
       [](Forge& f) { f.Set("checkpoint", 1, "root", 5); }},
      {"the checkpoint's root is task 0",
       [](Forge& f) { f.Set("checkpoint", 1, "root", uint64_t{0}); }},
  });
  Forge forge(SmallImage());
  forge.Set("fs", 1, "cwd", uint64_t{0});
  EXPECT_TRUE(Read(forge.Build()).ok());
}

TEST(RulesTest, Tasks) {
  ExpectAllSeen({
      {"record of task 2: there are two tasks with pid ",
       [](Forge& f) {
         const auto task = ObjectView::Parse(*FindType("task"), 1, f.Get("task", 1).body);
         f.Set("task", 2, "pid", task->KeyNumber());
       }},
      {"record of task 1: its pid, 0, is not between",
       [](Forge& f) { f.Set("task", 1, "pid", uint64_t{0}); }},
      {"record of task 1: its pid, 4194305, is not between",
       [](Forge& f) { f.Set("task", 1, "pid", (1 << 22) + 1); }},
      {"record of task 1: it is no zombie and row mm is empty",
       [](Forge& f) { f.Set("task", 1, "mm", uint64_t{0}); }},
      {"record of task 4: it is no zombie and row mm is empty",
       [](Forge& f) { f.Set("task", 4, "state", CRFS_state_stopped); }},
      {" has no thread 4000", [](Forge& f) { f.Set("task", 2, "pid", 4000); }},
      {"task 2 (pid 300) has no thread 300",
       [](Forge& f) {
         // The threads of task 2 go to task 3.
         for (uint64_t id = 3; id <= 5; ++id) f.Set("thread", id, "task", 3);
       }},
      {"record of thread 4: there are two threads with tid",
       [](Forge& f) {
         const auto thread = ObjectView::Parse(*FindType("thread"), 1, f.Get("thread", 1).body);
         f.Set("thread", 4, "tid", thread->KeyNumber());
       }},
      {"its tid, 18446744073709551615, is not between",
       [](Forge& f) { f.Set("thread", 1, "tid", UINT64_MAX); }},
  });
}

TEST(RulesTest, Mappings) {
  const auto range = [](uint64_t id, uint64_t start, uint64_t end) {
    return [=](Forge& f) { f.Set("vma", id, "start", start).Set("vma", id, "end", end); };
  };
  ExpectAllSeen({
      {"record of vma 2: it ends (0x555555554000) where it has not begun",
       range(2, 0x555555554000, 0x555555554000)},
      {"it ends (0x0) where it has not begun", range(2, 0x555555554000, 0)},
      {"(00001000-00011001) are not on page boundaries", range(1, 0x1000, 0x11001)},
      {"record of vma 2: it overlaps the mapping before it, which ends at 0x11000",
       range(2, 0x10000, 0x12000)},
      {"record of vma 5: its addresses (7ffffffff000-100000000001000) are not those of user",
       range(5, 0x7ffffffff000, (uint64_t{1} << 56) + 4096)},
  });
  Forge forge(SmallImage());
  range(2, 0x11000, 0x12000)(forge);
  EXPECT_TRUE(Read(forge.Build()).ok()) << "mappings may touch";
}

TEST(RulesTest, Values) {
  ExpectAllSeen({
      {"record of file 3: row kind: 77 stands for no word",
       [](Forge& f) { f.Set("file", 3, "kind", 77); }},
      {"row state: 0 stands for no word", [](Forge& f) { f.Set("task", 1, "state", uint64_t{0}); }},
      {"row prot: 0x10 has bits other than", [](Forge& f) { f.Set("vma", 1, "prot", 16); }},
      {"row umask: a umask is not above", [](Forge& f) { f.Set("fs", 1, "umask", 01000); }},
      {"row exit_signal: 65 is no signal", [](Forge& f) { f.Set("task", 1, "exit_signal", 65); }},
      {"row signo: -1 is no signal", [](Forge& f) { f.Set("signal", 1, "signo", UINT64_MAX); }},
      {"record of sigaction 3: 65 is no signal",
       [](Forge& f) { f.Set("sigaction", 3, "signal", 65); }},
      {"row path: a text has a zero byte", [](Forge& f) { f.Set("file", 1, "path", "a\0b"s); }},
      {"row groups: a list of numbers is not a multiple of 4",
       [](Forge& f) { f.Set("cred", 1, "groups", "12345"); }},
      {"row auxv: an auxiliary vector is not a multiple of 16",
       [](Forge& f) { f.Set("mm", 1, "auxv", "12345678"); }},
      {"row uuid: a uuid is not 16 bytes",
       [](Forge& f) { f.Set("checkpoint", 1, "uuid", "12345678"); }},
      {"row cpus: a set of cpus has zero bytes at its end",
       [](Forge& f) { f.Set("thread", 1, "cpus", "\1\0"s); }},
      {"row cpus: a set of cpus has more than 65536",
       [](Forge& f) { f.Set("thread", 1, "cpus", std::string(8193, '\1')); }},
      {"row page_size: 8192 is not the page size of x86_64",
       [](Forge& f) { f.Set("checkpoint", 1, "page_size", 8192); }},
      {"row page_size: 0 is not",
       [](Forge& f) { f.Set("checkpoint", 1, "page_size", uint64_t{0}); }},
      {"the checkpoint is of architecture \"aarch64\": this crfs knows x86_64",
       [](Forge& f) { f.Set("checkpoint", 1, "arch", "aarch64"); },
       absl::StatusCode::kUnimplemented},
  });
  // A flag that a newer kernel has is kept.
  Forge forge(SmallImage());
  forge.Set("vma", 1, "flags", uint64_t{1} << 63);
  EXPECT_TRUE(Read(forge.Build()).ok());
}

TEST(RulesTest, Layout) {
  const auto poke = [](absl::string_view type, uint64_t id, size_t offset, uint32_t value) {
    return [=](Forge& f) { std::memcpy(&f.Get(type, id).body[offset], &value, sizeof(value)); };
  };
  const uint32_t name = 8 + FindType("shmem")->Find("name")->offset;
  ExpectAllSeen({
      {"record of ns 1: its body is too short (7 bytes)",
       [](Forge& f) { f.Get("ns", 1).body.resize(7); }},
      {"its fixed part (16 bytes) is longer than its body",
       [](Forge& f) { f.Get("ns", 1).body.resize(16); }},
      {"its reserved bytes are not zero", poke("ns", 1, 4, 1)},
      {"its fixed part (4294967295 bytes) is longer", poke("ns", 1, 0, UINT32_MAX)},
      {"its fixed part (9 bytes) ends within a row", poke("ns", 1, 0, 9)},
      {"its fixed part (8 bytes) ends within a row", poke("vma", 1, 0, 8)},
      {"its body has 8 bytes that belong to no row", poke("ns", 1, 0, 8)},
      {"its body has 3 bytes that belong to no row",
       [](Forge& f) { f.Get("pipe", 1).body += "abc"; }},
      {"row name begins at byte 99 of the body, not at 48", poke("shmem", 1, name, 99)},
      {"row name begins at byte 48 of the body, not at 0",
       [&](Forge& f) {
         f.Set("shmem", 1, "name", "");
         poke("shmem", 1, name, 48)(f);
       }},
      {"row name (4294967295 bytes) is longer than the body",
       poke("shmem", 1, name + 4, UINT32_MAX)},
      {"row reserved is reserved and not zero", poke("sighand", 1, 8, 1)},
      {"record of ns 1: it has rows that format version 2, the newest that this crfs knows",
       [](Forge& f) {
         f.Get("ns", 1).body += "1234";
         f.Get("ns", 1).body[0] = 20;
       },
       absl::StatusCode::kUnimplemented},
  });
}

// A row that a record's writer did not know is absent; one that its reader does not know
// may be there as long as it is zero.
TEST(RulesTest, OtherLengths) {
  Forge forge(SmallImage());
  std::string& shorter = forge.Get("ns", 1).body;
  shorter.resize(8 + 8);
  shorter[0] = 8;
  std::string& longer = forge.Get("ns", 2).body;
  longer += "\0\0\0\0"s;
  longer[0] = 20;
  const absl::Status status = Read(forge.Build());
  EXPECT_TRUE(status.ok()) << status;
  const auto view = ObjectView::Parse(*FindType("ns"), 1, shorter);
  ASSERT_TRUE(view.ok());
  EXPECT_FALSE(view->Has(*FindType("ns")->Find("inode")));
  EXPECT_TRUE(view->Has(*FindType("ns")->Find("level")));
  EXPECT_EQ(view->Number("inode"), 0u);
}

TEST(RulesTest, Extents) {
  const auto extents = [](uint32_t type, uint64_t id, std::vector<crfs_extent> list) {
    return [=](Forge& f) { f.Extents(1).body = ExtentsBody(type, id, list); };
  };
  ExpectAllSeen({
      {"record of extents 1: they belong to vma 99, which there is not",
       [](Forge& f) {
         f.Extents(0).body = ExtentsBody(CRFS_TAG_vma, 99, {{0, 4096}});
       }},
      {"they belong to vma 0, which there is not", extents(CRFS_TAG_vma, 0, {{0, 4096}})},
      {"objects of type 0xa00 have no memory", extents(CRFS_TAG_task, 1, {{0, 4096}})},
      {"objects of type 0xffffffff have no memory", extents(UINT32_MAX, 1, {{0, 4096}})},
      {"they come after those of a later object",
       [](Forge& f) {
         f.Extents(1).body = ExtentsBody(CRFS_TAG_vma, 2, {{0, 4096}});
         f.Extents(2).body = ExtentsBody(CRFS_TAG_vma, 1, {{0, 4096}});
       }},
      {"the record before it is not full and has the same owner",
       [](Forge& f) {
         f.Extents(1).body = ExtentsBody(CRFS_TAG_vma, 1, {{0, 4096}});
         f.Extents(2).body = ExtentsBody(CRFS_TAG_vma, 1, {{8192, 4096}});
       }},
      {"the extent at 0x800 is not made of whole pages", extents(CRFS_TAG_vma, 1, {{0x800, 4096}})},
      {"the extent at 0x0 is not made of whole pages", extents(CRFS_TAG_vma, 1, {{0, 100}})},
      {"the extent at 0x0 is not made of whole pages", extents(CRFS_TAG_vma, 1, {{0, 0}})},
      {"the extent at 0x1000 does not lie apart",
       extents(CRFS_TAG_vma, 1, {{0, 4096}, {4096, 4096}})},
      {"the extent at 0x1000 does not lie apart",
       extents(CRFS_TAG_vma, 1, {{0, 3 * 4096}, {4096, 4096}})},
      {"the extent at 0xf000 ends beyond its owner",
       extents(CRFS_TAG_vma, 1, {{0xf000, 2 * 4096}})},
      {"the extent at 0x1000 ends beyond its owner",
       extents(CRFS_TAG_vma, 1, {{0x1000, ~uint64_t{0xfff}}})},
      {"the extent at 0xfffffffffffff000 ends beyond its owner",
       extents(CRFS_TAG_vma, 1, {{~uint64_t{0xfff}, 4096}})},
      {"its count does not fit its length", extents(CRFS_TAG_vma, 1, {})},
      {"its count does not fit its length", [](Forge& f) { f.Extents(0).body += "12345678"; }},
      {"record of extents 1: its body is too short", [](Forge& f) { f.Extents(0).body.resize(8); }},
      {"record of extents 7: its number should be 1", [](Forge& f) { f.Extents(0).id = 7; }},
      {"record of data: it has ", [](Forge& f) { f.data.resize(f.data.size() - 4096); }},
  });
}

TEST(RulesTest, HugeMemory) {
  // Two shared memories of 2^62 bytes each: their sum is refused before any data is read.
  ExpectAllSeen({
      {"there are more than 2^62 bytes of memory",
       [](Forge& f) {
         f.Set("shmem", 1, "size", uint64_t{1} << 63);
         f.Extents(0).body = ExtentsBody(
             CRFS_TAG_shmem, 1, {{0, uint64_t{1} << 61}, {uint64_t{1} << 62, uint64_t{1} << 62}});
       }},
      {"the image ends within its data",
       [](Forge& f) {
         f.Set("shmem", 1, "size", uint64_t{1} << 63);
         f.Extents(0).body = ExtentsBody(CRFS_TAG_shmem, 1, {{0, uint64_t{1} << 61}});
         f.records.resize(static_cast<size_t>(&f.Extents(0) - f.records.data()) + 1);
         f.data_length = uint64_t{1} << 61;
       }},
  });
}

TEST(RulesTest, DataAndEnd) {
  const auto end = [](auto change) {
    return [=](Forge& f) {
      const std::string image = f.Build();
      crfs_end e;
      std::memcpy(&e, image.data() + image.size() - sizeof(e), sizeof(e));
      change(e);
      f.end = e;
    };
  };
  ExpectAllSeen({
      {"record of data: it has 9223372036854775808 bytes, but the extents have",
       [](Forge& f) { f.data_length = uint64_t{1} << 63; }},
      {"record of data: it has 0 bytes", [](Forge& f) { f.data_length = 0; }},
      {"the bytes before its body are not zero", [](Forge& f) { f.data_padding = 'x'; }},
      {"record of checksums 2: its number should be 1",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_CHECKSUMS, 2, "1234"}};
       }},
      {"record of checksums 1: it should have 1 checksums",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_CHECKSUMS, 1, "12345678"}};
       }},
      {"bytes of memory is wrong",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_CHECKSUMS, 1, "1234"}};
       }},
      {"end record: records are missing before it",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_END, 0, ""}};
       }},
      {"record of extents 9: extents come before data",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_EXTENTS, 9, ""}};
       }},
      {"record of ns 1: objects come before extents and data",
       [](Forge& f) { f.tail = {f.Get("ns", 1)}; }},
      {"record of data: there are two",
       [](Forge& f) {
         f.tail = {{CRFS_RECORD_DATA, 0, ""}};
       }},
      {"record of checksums 1: checksums come after data",
       [](Forge& f) {
         f.records.push_back({CRFS_RECORD_CHECKSUMS, 1, "1234"});
       }},
      {"it counts other objects", end([](crfs_end& e) { ++e.objects; })},
      {"it counts other objects", end([](crfs_end& e) { --e.extents; })},
      {"it counts other objects", end([](crfs_end& e) { e.data = 0; })},
      {"the size of the image that it names is wrong", end([](crfs_end& e) { e.size += 8; })},
      {"the digest of the image is wrong", end([](crfs_end& e) { e.digest[15] ^= 1; })},
  });
}

TEST(RulesTest, Framing) {
  ExpectAllSeen({
      {"the image has format version 3, this crfs reads up to 2: use a newer crfs",
       [](Forge& f) { f.format = 3; }, absl::StatusCode::kUnimplemented},
      {"format version 0 does not exist", [](Forge& f) { f.format = 0; }},
      {"record of type 0x123: format version 2, the newest that this crfs knows, has no such type",
       [](Forge& f) { f.Get("pipe", 1).type = 0x123; }, absl::StatusCode::kUnimplemented},
      {"record of pipe 1: it has unknown flags", [](Forge& f) { f.Get("pipe", 1).flags = 1; }},
      {"its length, 16777217 bytes, is above 16777216",
       [](Forge& f) { f.Get("pipe", 1).body.resize((16 << 20) + 1); }},
      {"that fill it up to 8 are not zero", [](Forge& f) { f.padding = 'x'; }},
  });
}

}  // namespace
}  // namespace crfs
