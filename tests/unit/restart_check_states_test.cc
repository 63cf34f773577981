// SPDX-License-Identifier: Apache-2.0
//
// States that no step of a restart is there for, and the whole of CheckRestart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "tests/unit/healthy_program.h"

namespace crfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

#define TASK "tasks/4194297"

class RestartCheckStatesTest : public testing::Test {
 protected:
  std::vector<std::string> Found() { return program_.Problems(CheckStates); }
  void Unsupported(const std::string& line) {
    program_.Set("checkpoint", 1, "unsupported", line + '\0');
  }

  HealthyProgram program_;
};

TEST_F(RestartCheckStatesTest, NothingIsWrongWithAHealthyProgram) {
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckStatesTest, Blockers) {
  program_.Set("mm", 1, "blockers", 1 << CRFS_blockers_aio);
  program_.Set("task", 1, "blockers", 1 << CRFS_blockers_posix_timers);
  program_.Set("thread", 1, "blockers", 1 << CRFS_blockers_ptraced | 1 << CRFS_blockers_ldt);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/mm/1/blockers: is aio, which cannot be"),
                                   HasSubstr(TASK "/blockers: is posix_timers, which"),
                                   HasSubstr("/threads/4194297/blockers: is ptraced ldt, which")));
}

TEST_F(RestartCheckStatesTest, NamespacesOfOthers) {
  program_.Set("ns", 1, "level", 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(TASK "/ns/net: is a net namespace other than that")));
  program_.Set("ns", 1, "inode", 77);  // that of the caller
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckStatesTest, Seccomp) {
  for (const uint64_t mode : {1, 2}) {
    program_.Set("thread", 1, "seccomp", mode);
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("/seccomp: is ")));
  }
}

TEST_F(RestartCheckStatesTest, PoliciesWithParameters) {
  for (const uint64_t policy : {6, 7}) {
    program_.Set("thread", 1, "policy", policy);
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/policy: is ")));
  }
}

TEST_F(RestartCheckStatesTest, SystemVSegments) {
  program_.Set("shmem", 1, "sysv", 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("objects/shmem/1/sysv: is 1: a System V segment")));
}

TEST_F(RestartCheckStatesTest, WhatTheCheckpointLists) {
  Unsupported(TASK ": holds a lock: unlock it");
  EXPECT_THAT(Found(),
              ElementsAre("checkpoint/unsupported: names a state that cannot be restarted: " TASK
                          ": holds a lock: unlock it"));
  Unsupported("something new");
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("checkpoint/unsupported: ")));
}

TEST_F(RestartCheckStatesTest, WhatIsListedAndGoneCountsForNothing) {
  Unsupported("tasks/77: holds a lock: unlock it");
  EXPECT_THAT(Found(), IsEmpty());
  Unsupported("objects/fdtable/1/5: is of kind socket: close it");
  EXPECT_THAT(Found(), IsEmpty());  // judged by what is there
}

TEST_F(RestartCheckStatesTest, WhatIsListedIsToldOnce) {
  Unsupported(TASK ": state that cannot be restarted: posix_timers: see crfs(5), blockers");
  program_.Set("task", 1, "blockers", 1 << CRFS_blockers_posix_timers);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(TASK "/blockers: is posix_timers")));
}

// Of the parts, each finds its problem; whether the module is there depends on the machine.
TEST_F(RestartCheckStatesTest, AllPartsAreAsked) {
  program_.Set("thread", 1, "rip", ~uint64_t{0});
  program_.Set("vma", 2, "kind", CRFS_vma_kind_special);
  program_.Set("thread", 1, "fpu", "");
  program_.Set("task", 1, "pid", 1).Set("thread", 1, "tid", 1);
  program_.Set("file", 6, "kind", CRFS_file_kind_epoll);
  program_.Set("file", 2, "path", "nowhere");
  program_.Set("cred", 1, "cap_bounding", ~uint64_t{0});
  program_.Set("mm", 1, "blockers", 1 << CRFS_blockers_aio);
  const auto all = [](const RestartCheck& check) {
    CheckRestart(check.checkpoint, check.options, check.problems);
  };
  const std::vector<std::string> problems = program_.Problems(all);
  for (const char* words :
       {"regs/rip: ", "/kind: is special", "/fpu: has 0", "tasks/1: its id", "of kind epoll",
        "no absolute path", "cap_bounding: has", "mm/1/blockers"}) {
    EXPECT_THAT(problems, testing::Contains(HasSubstr(words)));
  }
}

}  // namespace
}  // namespace crfs
