// SPDX-License-Identifier: Apache-2.0
//
// What a plain user, who may give tasks their old pids and nothing else, cannot have.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ostream>

#include "crfs/schema.h"
#include "tests/unit/healthy_program.h"

namespace crfs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

uint64_t Bit(unsigned bit) { return uint64_t{1} << bit; }

#define TASK "tasks/4194297"
#define THREAD TASK "/threads/4194297"

struct Wish {
  absl::string_view type;
  absl::string_view field;
  uint64_t value;
  const char* problem;  // its beginning
  int right;            // the capability that helps
};

void PrintTo(const Wish& wish, std::ostream* out) { *out << wish.type << "/" << wish.field; }

class WishTest : public testing::TestWithParam<Wish> {};

TEST_P(WishTest, NeedsARight) {
  const Wish& wish = GetParam();
  HealthyProgram program;
  program.Set(wish.type, 1, wish.field, wish.value);
  EXPECT_THAT(program.Problems(CheckRights), ElementsAre(StartsWith(wish.problem)));
  program.caller.cap_effective |= Bit(static_cast<unsigned>(wish.right));
  EXPECT_THAT(program.Problems(CheckRights), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, WishTest,
    testing::ValuesIn(std::vector<Wish>{
        {"cred", "uid", 0,
         "objects/cred/1/uid: is 0, a user other than yours, which is not permitted without "
         "CAP_SETUID: run crfs as root",
         CAP_SETUID},
        {"cred", "euid", 0, "objects/cred/1/euid: is 0", CAP_SETUID},
        {"cred", "suid", 0, "objects/cred/1/suid: is 0", CAP_SETUID},
        {"cred", "fsuid", 0, "objects/cred/1/fsuid: is 0", CAP_SETUID},
        {"cred", "gid", 0, "objects/cred/1/gid: is 0, a group other than yours", CAP_SETGID},
        {"cred", "egid", 0, "objects/cred/1/egid: is 0", CAP_SETGID},
        {"cred", "sgid", 0, "objects/cred/1/sgid: is 0", CAP_SETGID},
        {"cred", "fsgid", 0, "objects/cred/1/fsgid: is 0", CAP_SETGID},
        {"cred", "securebits", 1, "objects/cred/1/securebits: is noroot, not yours", CAP_SETPCAP},
        {"cred", "cap_bounding", 0, "objects/cred/1/cap_bounding: has fewer", CAP_SETPCAP},
        {"cred", "cap_inheritable", 2,
         "objects/cred/1/cap_inheritable: has capabilities that you do not have, which is not "
         "permitted without cap_dac_override: ",
         CAP_SETPCAP},
        {"thread", "nice", static_cast<uint64_t>(-5), THREAD "/sched/nice: is -5, and yours is 0",
         CAP_SYS_NICE},
        {"thread", "ioprio", 1 << 13, THREAD "/sched/ioprio: is 0x2000, the real-time",
         CAP_SYS_NICE},
        {"task", "rlimit_core_hard", 5000, TASK "/rlimit/core/hard: is 5000, more than your hard",
         CAP_SYS_RESOURCE},
        {"task", "oom_score_adj", static_cast<uint64_t>(-1),
         TASK "/oom_score_adj: is -1, and yours is 0", CAP_SYS_RESOURCE},
        {"mm", "dumpable", 2, "objects/mm/1/dumpable: is 2: core files are root's", CAP_SYS_ADMIN},
        {"fs", "root", 1, "objects/fs/1/root: is not yours", CAP_SYS_CHROOT},
        {"pipe", "capacity", 1 << 21, "objects/pipe/1/capacity: is 2097152, and fs.pipe-max-size",
         CAP_SYS_RESOURCE},
        {"vma", "start", 4096,
         "objects/mm/1/vmas/00001000-00401000/prot: is of memory below vm.mmap_min_addr",
         CAP_SYS_RAWIO},
    }));

class RestartCheckRightsTest : public testing::Test {
 protected:
  std::vector<std::string> Found() { return program_.Problems(CheckRights); }
  void Grant(unsigned capability) { program_.caller.cap_effective |= Bit(capability); }

  HealthyProgram program_;
};

TEST_F(RestartCheckRightsTest, NothingIsWrongWithAHealthyProgram) {
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, OldPids) {
  program_.caller.cap_effective = 0;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("checkpoint/root: and all other tasks are to have")));
  Grant(CAP_SYS_ADMIN);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, PidNamespaces) {
  program_.options.pid_namespace = true;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("--pidns: a new pid namespace is not permitted")));
  Grant(CAP_SYS_ADMIN);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, OwnIdsMayBeMixed) {
  program_.caller.uids = {1000, 1001, 1001, 1001};
  program_.Set("cred", 1, "uid", 1001);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, AnIdIsToldOnce) {
  program_.Set("cred", 1, "uid", 0).Set("cred", 1, "euid", 0).Set("cred", 1, "suid", 7);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/uid: is 0"), HasSubstr("/suid: is 7")));
}

TEST_F(RestartCheckRightsTest, Groups) {
  program_.Set("cred", 1, "groups", std::string("\x18\0\0\0\x04\0\0\0", 8));
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("cred", 1, "groups", std::string("\x04\0\0\0", 4));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cred/1/groups: is 4, not your groups")));
  Grant(CAP_SETGID);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, Capabilities) {
  program_.Set("cred", 1, "cap_permitted", Bit(CAP_CHECKPOINT_RESTORE) | Bit(CAP_NET_RAW));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cap_permitted: has capabilities that you do not "
                                             "have, which is not permitted without cap_net_raw")));
  program_.caller.cap_permitted |= Bit(CAP_NET_RAW);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("cred", 1, "cap_bounding", ~uint64_t{0});
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cap_bounding: has capabilities that you do not")));
}

TEST_F(RestartCheckRightsTest, CapabilitiesThatDoNotFitTogether) {
  program_.Set("cred", 1, "cap_effective", Bit(CAP_NET_RAW));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cap_effective: has cap_net_raw, which cap_permitted "
                                             "does not have")));
  program_.Set("cred", 1, "cap_effective", 0).Set("cred", 1, "cap_ambient", Bit(CAP_NET_RAW));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cap_ambient: has cap_net_raw, which cap_permitted "
                                             "and cap_inheritable do")));
}

TEST_F(RestartCheckRightsTest, LockedSecurebits) {
  program_.caller.securebits = 3;
  Grant(CAP_SETPCAP);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("cred/1/securebits: differs from yours, which are")));
  program_.Set("cred", 1, "securebits", 3);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, CredentialsThatNobodyUsesCountForNothing) {
  program_.Add(program_.Copy("cred", 1).SetNumber("uid", 0));
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, Label) {
  program_.Set("cred", 1, "label", "unconfined");
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("cred", 1, "label", "profile (enforce)");
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("label: is \"profile (enforce)\", and yours is \"\"")));
  program_.caller.label = "profile (enforce)";
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckRightsTest, WhatStaysWithTheCaller) {
  program_.caller.no_new_privs = true;
  program_.caller.seccomp = 2;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/no_new_privs: is 0, and crfs runs with"),
                                   HasSubstr("/seccomp: is disabled, and crfs runs under")));
}

TEST_F(RestartCheckRightsTest, Cpus) {
  program_.Set("thread", 1, "cpus", std::string("\x02", 1));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/cpus: is 1, none of which is online")));
}

TEST_F(RestartCheckRightsTest, Nice) {
  program_.Set("thread", 1, "nice", static_cast<uint64_t>(-5));
  program_.caller.limits[RLIMIT_NICE].soft = 25;
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("thread", 1, "nice", 20);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/nice: is 20: write -20 to 19")));
}

TEST_F(RestartCheckRightsTest, RealTime) {
  program_.Set("thread", 1, "policy", 1).Set("thread", 1, "priority", 9);
  program_.caller.limits[RLIMIT_RTPRIO].soft = 0;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/policy: is fifo, a real-time one, which is")));
  program_.caller.limits[RLIMIT_RTPRIO].soft = 9;
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("thread", 1, "priority", 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/priority: is 0, and the policy is fifo")));
  program_.Set("thread", 1, "policy", 0).Set("thread", 1, "priority", 9);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/sched/priority: is 9, and the policy is other")));
}

TEST_F(RestartCheckRightsTest, MoreDescriptorsThanTheMachineAllows) {
  program_.machine.fd_max = 4095;
  Grant(CAP_SYS_RESOURCE);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/rlimit/nofile/hard: is 4096, and fs.nr_open is")));
}

TEST_F(RestartCheckRightsTest, OomScore) {
  program_.Set("task", 1, "oom_score_adj", 1001);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/oom_score_adj: is 1001: write -1000 to 1000")));
}

TEST_F(RestartCheckRightsTest, LockedMemory) {
  program_.Set("vma", 1, "end", 0x402000);
  program_.Set("vma", 1, "flags", 5 | Bit(CRFS_vma_flags_lo));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/rlimit/memlock/soft: is 4096, and 8192 bytes are")));
  program_.Set("cred", 1, "cap_effective", Bit(CAP_IPC_LOCK));
  EXPECT_THAT(Found(), testing::Not(Contains(HasSubstr("memlock"))));
}

}  // namespace
}  // namespace crfs
