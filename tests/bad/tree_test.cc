// SPDX-License-Identifier: Apache-2.0
//
// Trees that are wrong in one way each: every problem is told, with the path of the file at
// fault, and nothing else is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "index/loaded_checkpoint.h"
#include "tests/bad/scratch_tree.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Case {
  const char* script;                 // run in the directory of the tree
  std::vector<const char*> problems;  // how they begin, after the tree's path
};

class BadTreeTest : public ::testing::Test {
 protected:
  // The problems of the tree after a script, without the path of its directory.
  static std::vector<std::string> After(ScratchTree& tree, const std::string& script) {
    tree.Reset();
    EXPECT_TRUE(tree.Run(script)) << script;
    Problems problems;
    const auto loaded = LoadedCheckpoint::FromTree(tree.path(), problems);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    for (std::string& problem : problems) {
      EXPECT_THAT(problem, StartsWith(tree.path()));
      problem.erase(0, tree.path().size());
      if (absl::StartsWith(problem, "/")) problem.erase(0, 1);
    }
    return problems;
  }

  static void ExpectAll(const std::vector<Case>& cases, bool links = true) {
    ScratchTree tree({.links = links});
    for (const Case& each : cases) {
      std::vector<std::string> problems = After(tree, each.script);
      EXPECT_EQ(problems.size(), each.problems.size()) << each.script << "\n"
                                                       << absl::StrJoin(problems, "\n");
      for (const char* expected : each.problems) {
        EXPECT_THAT(problems, ::testing::Contains(StartsWith(expected))) << each.script;
      }
    }
  }
};

TEST_F(BadTreeTest, NothingIsWrongWithTheTreeItself) {
  ExpectAll({{":", {}}});
  ExpectAll({{":", {}}}, /*links=*/false);
}

TEST_F(BadTreeTest, NoTree) {
  Problems problems;
  EXPECT_FALSE(LoadedCheckpoint::FromTree("/nonexistent", problems).ok());
  EXPECT_FALSE(LoadedCheckpoint::FromTree("/dev/null", problems).ok());
  ExpectAll({
      {"rm -r *", {": has no folder `checkpoint`: give the directory of a tree"}},
      {"rm -r checkpoint", {": has no folder `checkpoint`: give the directory of a tree"}},
      {"rm -r tasks/*",
       {"checkpoint/root: is a link to nothing: there is no tasks/300: link to another, or delete "
        "it"}},
  });
}

TEST_F(BadTreeTest, Values) {
  ExpectAll({
      {"echo x > objects/pipe/1/capacity",
       {"objects/pipe/1/capacity: expected a decimal number, found \"x\""}},
      {"echo 99999999999 > tasks/300/oom_score_adj",
       {"tasks/300/oom_score_adj: the number does not fit 32 bits"}},
      {"echo sometimes > tasks/300/state",
       {"tasks/300/state: expected one of: running, stopped, zombie, found \"sometimes\""}},
      {"printf 'a\\nb\\n' > objects/file/1/path", {"objects/file/1/path: expected one line"}},
      {"echo arm64 > checkpoint/arch", {"checkpoint/arch: is arm64: this crfs knows x86_64 alone"}},
      {"echo 8192 > checkpoint/page_size",
       {"checkpoint/page_size: is not the page size of x86_64: write 4096"}},
      {"echo 3 > checkpoint/format",
       {"checkpoint/format: is 3, this crfs knows 1 to 2: use a newer crfs"}},
      {"truncate -s 80M objects/file/1/path",
       {"objects/file/1/path: is 83886080 bytes long: no value is longer than 67112960"}},
      {"head -c 17000000 /dev/zero > objects/pipe/1/data",
       {"objects/pipe/1: the values of one pipe together are longer than 16777216 bytes"}},
  });
}

TEST_F(BadTreeTest, WhatIsMissing) {
  ExpectAll({
      {"rm tasks/300/umask objects/fs/1/umask", {}},  // of other types, the default
      {"rm tasks/300/threads/300/regs/rip",
       {"tasks/300/threads/300/regs/rip: is missing: copy it again, or write it"}},
      {"rm objects/cred/1/uid", {"objects/cred/1/uid: is missing: copy it again, or write it"}},
      {"rm -r tasks/300/threads/300/regs",
       std::vector<const char*>(25, "tasks/300/threads/300/regs/")},
      {"rm objects/file/1/kind", {"objects/file/1/kind: is missing: copy it again, or write it"}},
      {"rm objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is missing: make it a link to objects/file/ID, or delete "}},
      {"rm -f tasks/300/mm tasks/300/exe tasks/300/auxv tasks/300/dumpable",
       {"tasks/300/mm: is missing: make it a link to objects/mm/ID"}},
      {"rm tasks/300/threads/300/cred tasks/300/cred",
       {"tasks/300/threads/300/cred: is missing: make it a link to objects/cred/ID"}},
      {"rm tasks/300/state", {"tasks/300/state: is missing: copy it again, or write it"}},
      {"rm checkpoint/root", {"checkpoint/root: is missing: make it a link to tasks/PID"}},
      {"rm -r tasks/300/threads/300; cd tasks/300; rm -r comm cred sched personality seccomp "
       "no_new_privs",
       {"tasks/300/threads/300: is missing: a task has a thread with its pid: copy it again"}},
      {"rm objects/shmem/1/pages", {"objects/shmem/1/pages: is missing, and "}},
  });
}

TEST_F(BadTreeTest, Links) {
  ExpectAll({
      {"ln -sfn ../../../file/99 objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to nothing: there is no objects/file/99: link to "
        "another, or delete it"}},
      {"ln -sfn /etc/passwd objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to the absolute path /etc/passwd: link to "
        "objects/file/ID by a relative path"}},
      {"ln -sfn ../../../../../etc/passwd objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link out of the tree, to ../../../../../etc/passwd: link "
        "to objects/file/ID by a relative path"}},
      {"ln -sfn ../../../pipe/1 objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to objects/pipe/1, which is no file: link to "
        "objects/file/ID by a relative path"}},
      {"ln -sfn ../../../file/01 objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to objects/file/01, which is no file"}},
      {"ln -sfn ../../../file/1/path objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to objects/file/1/path, which is no file"}},
      {"ln -sfn inherit/x objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is a link to inherit/x: after inherit/ comes the number"}},
      {"ln -sfn inherit/0 objects/mm/1/exe; rm -f tasks/300/exe",
       {"objects/mm/1/exe: is a link to objects/mm/1/inherit/0, which is no file"}},
      {"ln -sfn ../tasks/304 checkpoint/root",
       {"checkpoint/root: is a link to nothing: there is no tasks/304"}},
      {"rm objects/fdtable/1/0/file; echo 3 > objects/fdtable/1/0/file",
       {"objects/fdtable/1/0/file: is no symbolic link: put a link to an object in its place"}},
  });
}

TEST_F(BadTreeTest, WhatIsNoFile) {
  ExpectAll({
      {"cd objects/file/1; mv path x; ln -s x path; rm -f x",
       {"objects/file/1/path: is no regular file: put a file in its place"}},
      {"rm objects/file/1/path; ln -s /etc/passwd objects/file/1/path",
       {"objects/file/1/path: is no regular file: put a file in its place"}},
      {"rm objects/file/1/path; mkfifo objects/file/1/path",
       {"objects/file/1/path: is no regular file: put a file in its place"}},
      {"rm objects/file/1/path; mkdir objects/file/1/path",
       {"objects/file/1/path: is no regular file: put a file in its place"}},
      {"rm objects/shmem/1/pages; mkfifo objects/shmem/1/pages",
       {"objects/shmem/1/pages: is no regular file: put a file in its place"}},
      {"rm -r tasks/300/rlimit; ln -s /etc tasks/300/rlimit",
       std::vector<const char*>(33, "tasks/300/rlimit")},
      {"mv tasks t; ln -s t tasks",
       {"tasks: is no directory: put the directory back", "checkpoint/root: is a link to nothing"}},
  });
}

TEST_F(BadTreeTest, Names) {
  ExpectAll({
      {"mv objects/fdtable/1/0 objects/fdtable/1/00",
       {"objects/fdtable/1/00: is no name of a fd: rename it, or take it out of the tree"}},
      {"cp -a objects/file/1 objects/file/1.bak",
       {"objects/file/1.bak: is no name of a file: rename it, or take it out of the tree"}},
      {"rm objects/file/1/id; cp -a objects/file/1 objects/file/0",
       {"objects/file/0: 0 is no id: ids are 1 to 17592186044415"}},
      {"echo 5 > objects/file/1/id", {"objects/file/1/id: says 5, but "}},
      {"cd objects/mm/1/vmas; mv 00001000-00011000 00001000-00011800; rm 00001000-00011800/page*",
       {"objects/mm/1/vmas/00001000-00011800: does not begin and end between pages: rename it"}},
      {"cd objects/mm/1/vmas; mv 00001000-00011000 00011000-00001000; rm 00011000-00001000/page*",
       {"objects/mm/1/vmas/00011000-00001000: ends where it has not begun: rename it"}},
      {"cd objects/mm/1/vmas; cp -a 00001000-00011000 00010000-00011000; "
       "rm 00010000-00011000/page*",
       {"objects/mm/1/vmas/00010000-00011000: overlaps "}},
      {"cp -a tasks/300/threads/300 tasks/300/threads/4194305",
       {"tasks/300/threads/4194305: is no tid: tids are 1 to 4194304"}},
      {"mv objects/sighand/1/SIGHUP objects/sighand/1/0",
       {"objects/sighand/1/0: is no signal: signals are 1 to 64"}},
  });
}

TEST_F(BadTreeTest, Tasks) {
  ExpectAll({
      {"cp -a tasks/300 tasks/500; mv tasks/500/threads/300 tasks/500/threads/500; "
       "mv tasks/500/threads/301 tasks/500/threads/501",
       {"tasks/500/id: says 1, and so does "}},
      {"cp -a tasks/300 tasks/500; rm tasks/500/id; cd tasks/500/threads; mv 300 500",
       {"tasks/500/threads/301: has the same tid as "}},
  });
}

TEST_F(BadTreeTest, DerivedFiles) {
  ExpectAll({
      {"echo 77 > objects/file/1/refs", {}},  // is ignored
      {"echo other > tasks/300/comm", {"tasks/300/comm: says \"other\", but shows "}},
      {"echo other > tasks/300/threads/300/comm", {"tasks/300/comm: says "}},
      {"echo 0777 > tasks/300/umask", {"tasks/300/umask: says \"0777\", but shows "}},
      {"ln -sfn ../../objects/cred/2 tasks/300/cred; "
       "ln -sfn ../../../../objects/cred/1 tasks/300/threads/300/cred; "
       "cp -a objects/cred/1 objects/cred/2; rm objects/cred/2/id",
       {"tasks/300/cred: leads elsewhere than "}},
  });
}

TEST_F(BadTreeTest, Memory) {
  ExpectAll({
      {"truncate -s 4096 objects/mm/1/vmas/00001000-00011000/pages",
       {"objects/mm/1/vmas/00001000-00011000/pages: is 4096 bytes long, but its memory is 65536: "
        "make it that long (truncate -s 65536)"}},
      {"truncate -s 1M objects/mm/1/vmas/00001000-00011000/pages",
       {"objects/mm/1/vmas/00001000-00011000/pages: is 1048576 bytes long, but its memory is "}},
      {"echo 00000000-00000800 > objects/mm/1/vmas/00001000-00011000/pagemap",
       {"objects/mm/1/vmas/00001000-00011000/pagemap: line 1: 00000000-00000800 does not begin"}},
      {"echo 00000000-00020000 > objects/mm/1/vmas/00001000-00011000/pagemap",
       {"objects/mm/1/vmas/00001000-00011000/pagemap: line 1: 00000000-00020000 ends beyond the "
        "memory"}},
      {"echo 100 > objects/shmem/1/size",
       {"objects/shmem/1/pagemap: line 1: 00004000-00005000 ends beyond the memory"}},
  });
}

TEST_F(BadTreeTest, MoreMemoryThanThereCanBe) {
  ScratchTree tree;
  const std::string size = "9223372036854771712";
  if (!tree.Run(absl::StrCat("truncate -s ", size, " objects/shmem/1/pages"))) {
    GTEST_SKIP() << "no file can be so long here";
  }
  ASSERT_TRUE(tree.Run(absl::StrCat("cd objects/shmem/1; echo ", size, " > size; ",
                                    "echo 00000000-7ffffffffffff000 > pagemap")));
  Problems problems;
  ASSERT_TRUE(LoadedCheckpoint::FromTree(tree.path(), problems).ok());
  EXPECT_THAT(problems, ElementsAre(HasSubstr("/objects/shmem/1/pages: there are more than 2^62 "
                                              "bytes of memory")));
}

TEST_F(BadTreeTest, CopiesThatDiffer) {
  ExpectAll(
      {
          {"echo /other > objects/fdtable/1/0/file/path",
           {"objects/fdtable/1/0/file/path: differs from "}},
          {"rm objects/fdtable/1/0/file/path", {"objects/file/"}},
          {"rm objects/fdtable/1/0/file/id",
           {"objects/fdtable/1/0/file: is a directory in place of a link and has no file `id`, so "
            "it is any file: make it a link to objects/file/ID"}},
          {"echo 0 > objects/fdtable/1/0/file/id",
           {"objects/fdtable/1/0/file/id: 0 is no id: ids are 1 to 17592186044415"}},
          {"printf x | dd of=tasks/300/mm/vmas/00001000-00011000/pages conv=notrunc status=none",
           {"tasks/300/mm/vmas/00001000-00011000/pages: differs from "}},
          {"rm -r tasks/300/sighand/SIGHUP", {"objects/sighand/1/SIGHUP: is not in "}},
          {"rm -r tasks/*", {"checkpoint/root: is a copy of a task that is not in "}},
      },
      /*links=*/false);
}

TEST_F(BadTreeTest, BothFilesAreNamed) {
  ScratchTree tree({.links = false});
  const auto problems = After(tree, "echo /other > objects/fdtable/1/0/file/path");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], HasSubstr(absl::StrCat("differs from ", tree.path(), "/objects/file/")));
  EXPECT_THAT(problems[0], HasSubstr("make the two the same"));
}

TEST_F(BadTreeTest, EveryProblemIsToldAtOnce) {
  ScratchTree tree;
  EXPECT_THAT(After(tree,
                    "echo x > objects/pipe/1/capacity; rm objects/cred/1/uid; "
                    "ln -sfn nowhere objects/fdtable/1/0/file"),
              ElementsAre(StartsWith("objects/cred/1/uid: is missing"),
                          StartsWith("objects/fdtable/1/0/file: is a link to"),
                          StartsWith("objects/pipe/1/capacity: expected")));
}

TEST_F(BadTreeTest, ASlashAtTheEndIsNotTwo) {
  ScratchTree tree;
  ASSERT_TRUE(tree.Run("rm objects/cred/1/uid"));
  Problems problems;
  ASSERT_TRUE(LoadedCheckpoint::FromTree(tree.path() + "//", problems).ok());
  EXPECT_THAT(problems, ElementsAre(StartsWith(tree.path() + "/objects/cred/1/uid: is missing")));
}

TEST_F(BadTreeTest, AThousandProblemsAreNot) {
  ScratchTree tree;
  const auto problems =
      After(tree,
            "cp -a objects/pipe/1 p; cd objects/pipe; for i in $(seq 10 999); do mkdir $i; "
            "echo x > $i/capacity; done");
  ASSERT_EQ(problems.size(), 101u);
  EXPECT_EQ(problems.back(), ": and 890 more problems");
}

TEST_F(BadTreeTest, LeftoversAreListedAndCountForNothing) {
  ScratchTree tree;
  ASSERT_TRUE(
      tree.Run("touch objects/file/1/.path.a1b2c3 tasks/300/comm~ notes.txt objects/x; "
               "mkdir objects/file/.9.tmp; mkdir -p .views/300"));
  Problems problems;
  const auto loaded = LoadedCheckpoint::FromTree(tree.path(), problems);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(loaded->leftovers(),
              ElementsAre(tree.path() + "/notes.txt", tree.path() + "/objects/file/.9.tmp",
                          tree.path() + "/objects/file/1/.path.a1b2c3", tree.path() + "/objects/x",
                          tree.path() + "/tasks/300/comm~"));
}

TEST_F(BadTreeTest, ADescriptorToInheritIsNoImage) {
  ScratchTree tree;
  ASSERT_TRUE(tree.Run("ln -sfn inherit/3 objects/fdtable/1/0/file"));
  Problems problems;
  const auto loaded = LoadedCheckpoint::FromTree(tree.path(), problems);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(problems, IsEmpty());
  ASSERT_EQ(loaded->inherited().size(), 1u);
  EXPECT_EQ(loaded->inherited()[0].number, 3);
  EXPECT_EQ(loaded->Where(loaded->Get("fd", loaded->inherited()[0].fd_id), "file"),
            tree.path() + "/objects/fdtable/1/0/file");
  const absl::Status status = WriteCheckpoint(*loaded, tree.path() + ".crfs");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              StartsWith(tree.path() + "/objects/fdtable/1/0/file: an image cannot say that "));
  EXPECT_FALSE(std::filesystem::exists(tree.path() + ".crfs"));
}

}  // namespace
}  // namespace crfs
