// SPDX-License-Identifier: Apache-2.0
//
// Descriptors of a healthy program, and those that the caller gives in their place; and pids.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/restart_given.h"
#include "index/unique_fd.h"
#include "tests/unit/healthy_program.h"

namespace crfs {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr pid_t kPid = 4194297;

class RestartCheckDescriptorsTest : public testing::Test {
 protected:
  std::vector<std::string> Found() { return program_.Problems(CheckDescriptors); }
  void Give(int fd, int number) { program_.options.fds = {{kPid, fd, number}}; }
  // Open as the descriptors of a caller are: they have come through execve.
  static UniqueFd Open(int flags) { return UniqueFd(::open("/dev/null", flags)); }

  HealthyProgram program_;
};

TEST_F(RestartCheckDescriptorsTest, NothingIsWrongWithAHealthyProgram) {
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckDescriptorsTest, WhatIsExcludedIsNoObstacle) {
  program_.Set("file", HealthyProgram::kNull, "kind", CRFS_file_kind_socket);
  program_.Set("file", HealthyProgram::kNull, "owner_pid", 12345);
  EXPECT_EQ(Found().size(), 2U);
  program_.Set("fd", 6, "excluded", 1);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("fd", 6, "fd", 1U << 31);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckDescriptorsTest, InPlaceOfWhatIsExcludedTheCallerMayGive) {
  program_.Set("file", HealthyProgram::kNull, "kind", CRFS_file_kind_socket);
  program_.Set("fd", 6, "excluded", 1);
  const UniqueFd given = Open(O_RDWR);
  Give(6, given.get());
  EXPECT_THAT(Found(), IsEmpty());
  Give(6, 999);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("descriptor 999 of the caller is not open")));
}

TEST_F(RestartCheckDescriptorsTest, EveryOtherKindIsRefusedByName) {
  for (const Word& word : FindType("file")->Find("kind")->words) {
    switch (word.value) {
      case CRFS_file_kind_regular:
      case CRFS_file_kind_directory:
      case CRFS_file_kind_path:
      case CRFS_file_kind_symlink:
        program_.Set("file", 2, "kind", word.value);
        EXPECT_THAT(Found(), IsEmpty()) << word.name;
        break;
      case CRFS_file_kind_pipe:
      case CRFS_file_kind_fifo:
      case CRFS_file_kind_shmem:
      case CRFS_file_kind_chardev:
      case CRFS_file_kind_tty:
        break;  // see below
      default:
        program_.Set("file", 2, "kind", word.value);
        EXPECT_THAT(Found(), ElementsAre(StartsWith(absl::StrCat("objects/fdtable/1/1: is of kind ",
                                                                 word.name, ", /"))));
    }
  }
}

TEST_F(RestartCheckDescriptorsTest, OneThatIsGivenMayBeOfAnyKind) {
  program_.Set("file", 2, "kind", CRFS_file_kind_socket);
  const UniqueFd mine = Open(O_RDWR);
  Give(1, mine.get());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckDescriptorsTest, DevicesHaveNoState) {
  program_.Set("file", HealthyProgram::kNull, "rdev", uint64_t{10} << 32 | 200);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/fdtable/1/6: is the device /dev/null")));
}

TEST_F(RestartCheckDescriptorsTest, WhatPipesAndSharedMemoryReferTo) {
  program_.Set("file", 4, "pipe", 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/4/pipe: is missing"),
                                   HasSubstr("fdtable/1/4: is a pipe whose readers are not in")));
  program_.Set("file", 5, "pipe", 0).Set("file", 4, "kind", CRFS_file_kind_fifo);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/4/pipe: is missing"),
                                   HasSubstr("file/5/pipe: is missing")));
  program_.Set("file", 4, "pipe", 1).Set("file", 5, "kind", CRFS_file_kind_shmem);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/5/shmem: is missing")));
}

TEST_F(RestartCheckDescriptorsTest, APipeHasItsOtherEnd) {
  program_.Set("file", 5, "flags", O_RDONLY);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("fdtable/1/3: is a pipe whose writers are not in"),
                                   HasSubstr("fdtable/1/4: is a pipe whose writers are not in")));
  program_.Set("pipe", 1, "writers", 0);  // nobody had it
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckDescriptorsTest, APipeHasNoPath) {
  program_.Set("file", 4, "path", "/tmp/x");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/4/path: is that of a pipe, which has none")));
}

TEST_F(RestartCheckDescriptorsTest, ATerminalNeedsOne) {
  program_.caller.has_terminal = false;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("fdtable/1/5: is a terminal, /dev/pts/4, and crfs")));
  program_.caller.has_terminal = true;
  program_.Set("file", HealthyProgram::kTerminal, "rdev", uint64_t{5} << 32 | 2);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("fdtable/1/5: is the master of a pseudo-terminal")));
}

TEST_F(RestartCheckDescriptorsTest, NumbersHaveLimits) {
  program_.Set("fd", 6, "fd", 5000);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("1/5000: its number is not below your hard limit")));
  program_.caller.cap_effective |= uint64_t{1} << CAP_SYS_RESOURCE;
  EXPECT_THAT(Found(), IsEmpty());
  program_.machine.fd_max = 4999;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("1/5000: its number is not below fs.nr_open, 4999")));
}

TEST_F(RestartCheckDescriptorsTest, OwnersAreInTheCheckpoint) {
  program_.Set("file", 2, "owner_pid", kPid);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("file", 2, "owner_pid", static_cast<uint64_t>(int64_t{-50}));  // its group
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("file", 2, "owner_pid", 77);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/2/owner_pid: is 77, which is not in the")));
}

// ---- what is given ----------------------------------------------------------------------------

TEST(GivenTest, PathsThatMeanTheCallersDescriptors) {
  EXPECT_EQ(CallersDescriptor("/dev/stdin"), 0);
  EXPECT_EQ(CallersDescriptor("/dev/stdout"), 1);
  EXPECT_EQ(CallersDescriptor("/dev/stderr"), 2);
  EXPECT_EQ(CallersDescriptor("/dev/fd/17"), 17);
  for (const char* path : {"", "/dev/fd", "/dev/fd/", "/dev/fd/x", "/dev/fd/-1", "/dev/fd/1 ",
                           "/dev/fd/1/2", "/dev/null", "dev/fd/1", "/dev/fd/99999999999"}) {
    EXPECT_EQ(CallersDescriptor(path), std::nullopt) << path;
  }
}

TEST_F(RestartCheckDescriptorsTest, GivenToNobody) {
  const UniqueFd mine = Open(O_RDWR);
  Give(77, mine.get());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("task 4194297 has no descriptor 77: see tasks/")));
  program_.options.fds = {{1, 1, mine.get()}};
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("task 1 has no descriptor 1: see tasks/")));
}

TEST_F(RestartCheckDescriptorsTest, GivenButNotOpen) {
  Give(1, 987);
  EXPECT_THAT(Found(), ElementsAre("--fd 4194297:1=987: descriptor 987 of the caller is not open: "
                                   "open it, as in `crfs ... 987>FILE`"));
  const UniqueFd own = Open(O_RDWR | O_CLOEXEC);  // one that crfs has opened
  Give(1, own.get());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("of the caller is not open: ")));
}

TEST_F(RestartCheckDescriptorsTest, GivenInAWrongMode) {
  const UniqueFd reads = Open(O_RDONLY), writes = Open(O_WRONLY), path = Open(O_PATH);
  Give(1, reads.get());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(" is not open for writing, as the program needs")));
  Give(0, writes.get());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(" is not open for reading, as the program needs")));
  Give(0, path.get());
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(" is a bare path (O_PATH)")));
  Give(0, reads.get());
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckDescriptorsTest, GivenTwice) {
  const UniqueFd one = Open(O_RDWR), other = Open(O_RDWR);
  program_.options.fds = {{kPid, 1, one.get()}, {kPid, 1, other.get()}};
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(": its open file is given ")));
}

TEST_F(RestartCheckDescriptorsTest, GivenByPath) {
  program_.Set("file", 2, "path", "/dev/fd/987");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("file/2/path: descriptor 987 of the caller is not")));
  const UniqueFd mine = Open(O_RDONLY);
  program_.Set("file", 2, "path", absl::StrCat("/dev/fd/", mine.get()));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(" is not open for writing, as the program needs")));
}

// ---- pids -------------------------------------------------------------------------------------

class RestartCheckPidsTest : public testing::Test {
 protected:
  std::vector<std::string> Found() { return program_.Problems(CheckPids); }
  // A child of the first task, or of another.
  uint64_t AddTask(uint64_t pid, uint64_t ppid = kPid) {
    const uint64_t id =
        program_.Add(program_.Copy("task", 1).SetNumber("pid", pid).SetNumber("ppid", ppid));
    program_.Add(program_.Copy("thread", 1).SetNumber("task", id).SetNumber("tid", pid));
    return id;
  }
  void SetPid(uint64_t pid) { program_.Set("task", 1, "pid", pid).Set("thread", 1, "tid", pid); }

  HealthyProgram program_;
};

TEST_F(RestartCheckPidsTest, NothingIsWrongWithAHealthyProgram) { EXPECT_THAT(Found(), IsEmpty()); }

TEST_F(RestartCheckPidsTest, Taken) {
  SetPid(static_cast<uint64_t>(::getpid()));
  EXPECT_THAT(Found(), ElementsAre(testing::AllOf(
                           StartsWith(absl::StrCat("tasks/", ::getpid(), ": its id, ")),
                           HasSubstr("is taken by another process (unit_tests): end that one, or "
                                     "restart with --pidns"))));
  program_.options.pid_namespace = true;
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckPidsTest, ThreadsNeedTheirIdsToo) {
  program_.Add(program_.Copy("thread", 1).SetNumber("tid", kPid + 1));
  EXPECT_THAT(Found(), IsEmpty());
  program_.machine.pid_max = kPid + 1;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/threads/4194298: its id is not below kernel.pid_")));
  program_.machine.pid_max = kPid;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("tasks/4194297: its id is not below kernel.pid_max"),
                                   HasSubstr("/threads/4194298: its id is not below")));
}

TEST_F(RestartCheckPidsTest, TheFirstTaskOfANamespace) {
  AddTask(1);
  program_.options.pid_namespace = true;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("tasks/1: its id, 1, is that of the first task")));
}

TEST_F(RestartCheckPidsTest, ARootThatIsTheFirstTaskOfANamespace) {
  SetPid(1);
  EXPECT_THAT(Found(), Contains(HasSubstr("tasks/1: its id, 1, is taken by")));
  program_.options.pid_namespace = true;
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckPidsTest, NoNamespaces) {
  program_.machine.pid_namespaces = 0;
  EXPECT_THAT(Found(), IsEmpty());
  program_.options.pid_namespace = true;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("--pidns: this machine allows no pid namespaces")));
}

TEST_F(RestartCheckPidsTest, Parents) {
  AddTask(kPid + 1);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("task", 2, "ppid", 77);
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("tasks/4194298/ppid: is 77, which is no task of the")));
  program_.Set("task", 2, "ppid", kPid + 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("tasks/4194298/ppid: leads back to the task itself")));
}

TEST_F(RestartCheckPidsTest, GroupsAndSessionsHaveLeaders) {
  const uint64_t child = AddTask(kPid + 1);
  program_.Set("task", child, "pgid", kPid + 1);
  EXPECT_THAT(Found(), IsEmpty());
  // One whose leader is gone is made again if its number is free.
  program_.Set("task", child, "pgid", kPid + 2);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("task", child, "pgid", static_cast<uint64_t>(::getpgrp()));
  EXPECT_THAT(Found(), ElementsAre(AllOf(HasSubstr("/pgid: its id, "), HasSubstr("is taken by"))));
  program_.Set("task", child, "pgid", kPid);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/pgid: is 4194297, and task 4194297 leads no")));
  program_.Set("task", 1, "pgid", kPid).Set("task", child, "pgid", kPid);
  program_.Set("task", child, "sid", kPid + 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/pgid: is 4194297, a process group of another")));
}

// --- what shows only when all of them are put in order ---

class RestartCheckOrderTest : public RestartCheckPidsTest {
 protected:
  static constexpr std::pair<const char*, const char*> kShared[] = {
      {"fd", "fdtable"}, {"fs", "fs"}, {"mm", "mm"}, {"sighand", "sighand"}};
  // One that shares nothing with others.
  uint64_t AddOwnTask(uint64_t pid, uint64_t ppid = kPid) {
    const uint64_t id = AddTask(pid, ppid);
    for (const auto& [row, type] : kShared) {
      program_.Set("task", id, row, program_.Add(program_.Copy(type, 1)));
    }
    program_.Set("task", id, "exit_signal", SIGCHLD);
    return id;
  }
  void SetSession(uint64_t id, uint64_t sid) {
    program_.Set("task", id, "sid", sid).Set("task", id, "pgid", sid);
  }
};

TEST_F(RestartCheckOrderTest, AnOrphanJoinsTheSessionOfASibling) {
  const uint64_t leader = AddOwnTask(kPid + 2), orphan = AddOwnTask(kPid + 1);
  SetSession(leader, kPid + 2);
  SetSession(orphan, kPid + 2);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("task", orphan, "exit_signal", SIGUSR1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("tasks/4194298/exit_signal: must be that of")));
}

TEST_F(RestartCheckOrderTest, AnOrphanJoinsASessionWhoseLeaderIsGone) {
  const uint64_t orphan = AddOwnTask(kPid + 1), other = AddOwnTask(kPid + 2);
  SetSession(orphan, kPid + 3);
  SetSession(other, kPid + 3);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("task", other, "ppid", kPid + 1);
  EXPECT_THAT(Found(), IsEmpty());
  SetSession(AddOwnTask(kPid + 4), kPid + 4);
  program_.Set("task", other, "ppid", kPid + 4);
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("tasks/4194298/sid: the leader of session 4194300 is gone")));
  SetSession(orphan, static_cast<uint64_t>(::getsid(0)));
  EXPECT_THAT(Found(), Contains(AllOf(HasSubstr("/sid: its id, "), HasSubstr("is taken by"))));
}

TEST_F(RestartCheckOrderTest, OnlyTheLeaderLetsOthersIntoItsSession) {
  const uint64_t child = AddOwnTask(kPid + 1);
  AddOwnTask(kPid + 2, kPid + 1);
  SetSession(AddOwnTask(kPid + 3, kPid + 2), kPid + 3);
  SetSession(child, kPid + 3);
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("tasks/4194298/sid: session 4194300 was made by a task that")));
}

TEST_F(RestartCheckOrderTest, TasksShareWithTheirParents) {
  const uint64_t child = AddTask(kPid + 1);
  const uint64_t grandchild = AddOwnTask(kPid + 2, kPid + 1);
  AddOwnTask(kPid + 3);
  const auto share = [&](const char* row, uint64_t with) {
    program_.Set("task", grandchild, row, with);
  };
  EXPECT_THAT(Found(), IsEmpty());
  share("mm", 1);
  share("sighand", 1);
  EXPECT_THAT(Found(), IsEmpty());
  share("mm", 2);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sighand: is shared with its parent, and its mm")));
  share("sighand", 2);
  share("fd", 1);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("task", child, "fd", 2);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("tasks/4194299/fd: is shared with ")));
}

}  // namespace
}  // namespace crfs
