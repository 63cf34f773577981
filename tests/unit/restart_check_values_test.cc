// SPDX-License-Identifier: Apache-2.0
//
// Values, mappings and extended registers that no restart can set: one change to a healthy
// program, one problem.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <ostream>

#include "crfs/schema.h"
#include "tests/unit/healthy_program.h"

namespace crfs {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr uint64_t kKernel = 0xffff'8880'0000'0000;
constexpr uint64_t kTooLong = uint64_t{1} << 63;

uint64_t Flag(unsigned bit) { return uint64_t{1} << bit; }

struct Change {
  absl::string_view type;
  absl::string_view field;
  uint64_t value;
  const char* path;  // with what follows it: the beginning of the problem
};

void PrintTo(const Change& change, std::ostream* out) {
  *out << change.type << "/" << change.field;
}

class ValueTest : public testing::TestWithParam<Change> {
 protected:
  HealthyProgram program_;
};

TEST_P(ValueTest, IsToldInWords) {
  const Change& change = GetParam();
  program_.Set(change.type, 1, change.field, change.value);
  EXPECT_THAT(program_.Problems(CheckValues), Contains(StartsWith(change.path)));
}

#define TASK "tasks/4194297"
#define THREAD TASK "/threads/4194297"

INSTANTIATE_TEST_SUITE_P(
    Numbers, ValueTest,
    testing::ValuesIn(std::vector<Change>{
        {"thread", "rip", kKernel,
         THREAD "/regs/rip: is 0xffff888000000000, which is no address of a program: write"},
        {"thread", "fs_base", 0x8000'0000'0000, THREAD "/fs_base: is 0x800000000000, which is no"},
        {"thread", "gs_base", kKernel, THREAD "/gs_base: is"},
        {"thread", "cs", 0x10, THREAD "/regs/cs: is 0x10, and 64-bit programs have 0x33"},
        {"thread", "ss", 0x18, THREAD "/regs/ss: is 0x18, and"},
        {"thread", "ds", 0x18, THREAD "/regs/ds: is 0x18, which is no selector"},
        {"thread", "es", 0x10003, THREAD "/regs/es: is"},
        {"thread", "fs", 1, THREAD "/regs/fs: is"},
        {"thread", "gs", 2, THREAD "/regs/gs: is"},
        {"thread", "eflags", 0x3246, THREAD "/regs/eflags: is 0x3246, and nobody can have 0x3000"},
        {"thread", "altstack_flags", 8, THREAD "/altstack/flags: is bit3, and nobody can have"},
        {"thread", "restore_sigmask", 2, THREAD "/restore_sigmask: is 2, which is more than 1"},
        {"thread", "syscall_remaining", kTooLong, THREAD "/syscall/remaining: is"},
        {"thread", "exit_code", 0x10000, THREAD "/exit_code: is"},
        {"thread", "no_new_privs", 2, THREAD "/no_new_privs: is 2"},
        {"thread", "reset_on_fork", 2, THREAD "/sched/reset_on_fork: is 2"},
        {"thread", "priority", 100, THREAD "/sched/priority: is 100"},
        {"thread", "altstack_sp", kKernel, THREAD "/altstack/sp: is"},
        {"thread", "rseq_address", 8, THREAD "/rseq/address: is 0x8, where no struct rseq"},
        {"thread", "rseq_address", kKernel, THREAD "/rseq/address: is"},
        {"thread", "rseq_address", 0x400000, THREAD "/rseq/length: is 0"},
        {"mm", "start_code", 0, "objects/mm/1/start_code: is 0x0, which is no address"},
        {"mm", "end_code", kKernel, "objects/mm/1/end_code: is"},
        {"mm", "start_data", 0, "objects/mm/1/start_data: is"},
        {"mm", "end_data", kKernel, "objects/mm/1/end_data: is"},
        {"mm", "start_brk", 0, "objects/mm/1/start_brk: is"},
        {"mm", "brk", kKernel, "objects/mm/1/brk: is"},
        {"mm", "start_stack", kKernel, "objects/mm/1/start_stack: is"},
        {"mm", "arg_start", 0, "objects/mm/1/arg_start: is"},
        {"mm", "arg_end", kKernel, "objects/mm/1/arg_end: is"},
        {"mm", "env_start", 0, "objects/mm/1/env_start: is"},
        {"mm", "env_end", kKernel, "objects/mm/1/env_end: is"},
        {"mm", "vdso", kKernel, "objects/mm/1/vdso: is"},
        {"mm", "start_code", 0x401000, "objects/mm/1/end_code: is 0x401000, and start_code is"},
        {"mm", "end_data", 0x3ff000, "objects/mm/1/end_data: is 0x3ff000, and start_data is"},
        {"mm", "brk", 0x3ff000, "objects/mm/1/brk: is 0x3ff000, and start_brk is 0x400000"},
        {"mm", "arg_end", 0x3ff000, "objects/mm/1/arg_end: is 0x3ff000, and arg_start"},
        {"mm", "env_end", 0x3ff000, "objects/mm/1/env_end: is 0x3ff000, and env_start"},
        {"mm", "dumpable", 3, "objects/mm/1/dumpable: is 3, which is more than 2"},
        {"mm", "coredump_filter", 0x200, "objects/mm/1/coredump_filter: is 00000200, and nobody"},
        {"mm", "thp_disable", 2, "objects/mm/1/thp_disable: is 2"},
        {"mm", "def_flags", 1, "objects/mm/1/def_flags: is rd, and nobody can have rd"},
        {"vma", "offset", 8,
         "objects/mm/1/vmas/00400000-00401000/offset: is 00000008, which is no"},
        {"vma", "flags", Flag(40), "objects/mm/1/vmas/00400000-00401000/flags: is bit40, and"},
        {"sigaction", "flags", 8, "objects/sighand/1/SIGUSR1/flags: is bit3, and nobody"},
        {"task", "exit_code", 0x10000, TASK "/exit_code: is"},
        {"task", "child_subreaper", 2, TASK "/child_subreaper: is 2"},
        {"task", "itimer_real_value", kTooLong, TASK "/itimer/real/value: is"},
        {"task", "itimer_real_interval", kTooLong, TASK "/itimer/real/interval: is"},
        {"task", "itimer_virtual_value", kTooLong, TASK "/itimer/virtual/value: is"},
        {"task", "itimer_virtual_interval", kTooLong, TASK "/itimer/virtual/interval: is"},
        {"task", "itimer_prof_value", kTooLong, TASK "/itimer/prof/value: is"},
        {"task", "itimer_prof_interval", kTooLong, TASK "/itimer/prof/interval: is"},
        {"task", "rlimit_core_soft", 5000, TASK "/rlimit/core/soft: is 5000, more than the hard"},
        {"fd", "cloexec", 2, "objects/fdtable/1/0/cloexec: is 2"},
        {"file", "owner_signal", 65, "objects/file/1/owner_signal: is 65"},
        {"file", "pos", kTooLong, "objects/file/1/pos: is -9223372036854775808, which is no"},
        {"file", "flags", 01000, "objects/file/1/flags: is O_RDONLY O_TRUNC, and nobody can have"},
        {"shmem", "size", kTooLong, "objects/shmem/1/size: is"},
        {"pipe", "capacity", 5000, "objects/pipe/1/capacity: is 5000, which no pipe has"},
    }));

class RestartCheckValuesTest : public testing::Test {
 protected:
  std::vector<std::string> Found() { return program_.Problems(CheckValues); }

  HealthyProgram program_;
};

TEST_F(RestartCheckValuesTest, NothingIsWrongWithAHealthyProgram) {
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_THAT(program_.Problems(CheckMappings), IsEmpty());
  EXPECT_THAT(program_.Problems(CheckExtendedState), IsEmpty());
}

TEST_F(RestartCheckValuesTest, DeadThreadsHaveNoRegisters) {
  program_.Set("task", 1, "state", CRFS_state_zombie).Set("thread", 1, "state", CRFS_state_zombie);
  program_.Set("thread", 1, "rip", kKernel).Set("thread", 1, "fpu", "");
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_THAT(program_.Problems(CheckExtendedState), IsEmpty());
}

TEST_F(RestartCheckValuesTest, Comm) {
  program_.Set("thread", 1, "comm", "sixteen letters!");
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("/comm: is sixteen letters!, which has more than 15")));
}

TEST_F(RestartCheckValuesTest, AddressesEndWhereThoseOfTheMachineDo) {
  program_.Set("thread", 1, "rip", 0x8000'0000'0000);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/regs/rip: ")));
  program_.machine.address_end = uint64_t{1} << 56;
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckValuesTest, SleepsThatCannotGoOn) {
  struct Sleep {
    uint64_t block, clock, flags, value;
    const char* words;  // nullptr: it can
  };
  for (const Sleep& sleep : std::vector<Sleep>{
           {CRFS_restart_block_nanosleep, 1, 0, 0, nullptr},
           {CRFS_restart_block_nanosleep, 2, 0, 0, "/syscall/clock: is 2, by which nobody"},
           {CRFS_restart_block_alarm_nanosleep, 9, 0, 0, nullptr},
           {CRFS_restart_block_alarm_nanosleep, 1, 0, 0, "/syscall/clock: is 1, which is no clock"},
           {CRFS_restart_block_poll, 0, 1, 7, nullptr},
           {CRFS_restart_block_poll, 0, 2, 7, "/syscall/flags: is 0x2, and poll has 0 or 1"},
           {CRFS_restart_block_poll, 0, 1, kTooLong, "/syscall/value: is"},
           {CRFS_restart_block_futex, 1, 128, 0, nullptr},
           {CRFS_restart_block_futex, 0, 256, 0, nullptr},
           {CRFS_restart_block_futex, 1, 1, 0, "/syscall/flags: is 0x1, which are no flags"},
           {CRFS_restart_block_futex, 1, 256, 0, "/syscall/clock: is 1, which is not the clock"},
           {CRFS_restart_block_cpu_nanosleep, 5, 0, 0, nullptr},
           {CRFS_restart_block_other, 0, 0, 0, "/syscall/block: is other: the thread sleeps"},
       }) {
    program_.Set("thread", 1, "syscall_restart", CRFS_syscall_restart_block)
        .Set("thread", 1, "syscall_block", sleep.block)
        .Set("thread", 1, "syscall_clock", sleep.clock)
        .Set("thread", 1, "syscall_flags", sleep.flags)
        .Set("thread", 1, "syscall_value", sleep.value);
    if (sleep.words == nullptr) {
      EXPECT_THAT(Found(), IsEmpty());
    } else {
      EXPECT_THAT(Found(), ElementsAre(HasSubstr(sleep.words)));
    }
  }
  program_.Set("thread", 1, "syscall_restart", CRFS_syscall_restart_sys);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckValuesTest, SignalsThatCannotBeCaught) {
  program_.Set("sigaction", 1, "signal", 9);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("SIGKILL/handler: is of a signal that cannot be")));
  program_.Set("sigaction", 1, "signal", 19);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("SIGSTOP/handler: ")));
}

TEST_F(RestartCheckValuesTest, PendingSignals) {
  ObjectBuilder signal(*FindType("signal"));
  signal.SetNumber("task", 1).SetNumber("signo", 10);
  program_.Add(signal);
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("signal", 1, "signo", 9);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/pending/0/signo: is no signal that can be")));
  program_.Set("signal", 1, "signo", 10).Set("signal", 1, "fields", std::string(33, 'x'));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/pending/0/fields: has more than 32 bytes")));
  program_.Set("signal", 1, "fields", "").Set("signal", 1, "queued", 2);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/pending/0/queued: is 2")));
  program_.Set("signal", 1, "queued", 1);
  program_.Add(ObjectBuilder(*FindType("thread_signal"))
                   .SetNumber("thread", 1)
                   .SetNumber("signo", 9)
                   .SetNumber("queued", 2));
  EXPECT_THAT(Found(),
              ElementsAre(HasSubstr("97/pending/0/queued: "), HasSubstr("97/pending/0/signo: ")));
}

TEST_F(RestartCheckValuesTest, WhatPipesHold) {
  program_.Set("pipe", 1, "data", std::string(70000, 'x'));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("pipe/1/capacity: is 65536, too few")));
  program_.Set("pipe", 1, "data", "abc").Set("pipe", 1, "packets", std::string("\2\0\0\0", 4));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("pipe/1/packets: tells of 2 bytes, and data has 3")));
  program_.Set("pipe", 1, "packets", std::string("\3\0\0\0", 4));
  EXPECT_THAT(Found(), IsEmpty());
  program_.Set("pipe", 1, "packets", std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("pipe/1/packets: has a packet of 0 bytes")));
}

// ---- mappings -------------------------------------------------------------------------------

class RestartCheckMappingsTest : public testing::Test {
 protected:
  static constexpr uint64_t kFile = 1, kAnon = 2;  // vmas

  std::vector<std::string> Found() { return program_.Problems(CheckMappings); }

  HealthyProgram program_;
};

TEST_F(RestartCheckMappingsTest, BeyondTheMachinesMemory) {
  program_.Set("vma", kAnon, "start", 0x8000'0000'0000).Set("vma", kAnon, "end", 0x8000'0000'1000);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("800000000000-800000001000: lies beyond")));
}

TEST_F(RestartCheckMappingsTest, ProtAndFlagsAgree) {
  program_.Set("vma", kAnon, "prot", 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("00500000-00501000/prot: is r--p, and flags say")));
}

TEST_F(RestartCheckMappingsTest, OnlySomeKindsHaveFiles) {
  program_.Set("vma", kAnon, "file", 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/file: is of a mapping of kind anon: delete it")));
  program_.Set("vma", kAnon, "kind", CRFS_vma_kind_vdso);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/file: is of a mapping of the kernel's own")));
  program_.Set("vma", kAnon, "file", 0).Set("vma", kFile, "file", 0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("00400000-00401000: maps nothing: make")));
}

TEST_F(RestartCheckMappingsTest, OfAKindThatOnlyTheKernelMakes) {
  program_.Set("vma", kAnon, "kind", CRFS_vma_kind_special);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/kind: is special, a mapping that only the kernel")));
}

TEST_F(RestartCheckMappingsTest, AnonymousMemoryIsPrivate) {
  program_.Set("vma", kAnon, "prot", 8 | 3).Set("vma", kAnon, "flags", Flag(7) | 3);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/prot: is rw-s, and memory of this kind is")));
}

TEST_F(RestartCheckMappingsTest, FlagsThatNoRestartGives) {
  for (const unsigned flag : {CRFS_vma_flags_ht, CRFS_vma_flags_sf, CRFS_vma_flags_um,
                              CRFS_vma_flags_uw, CRFS_vma_flags_ui, CRFS_vma_flags_ss,
                              CRFS_vma_flags_pf, CRFS_vma_flags_io, CRFS_vma_flags_mm}) {
    program_.Set("vma", kAnon, "flags", 3 | Flag(flag));
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("which no restart can give it: take it out")));
  }
  program_.Set("vma", kAnon, "flags", 3 | Flag(CRFS_vma_flags_gd) | Flag(CRFS_vma_flags_wf));
  EXPECT_THAT(Found(), IsEmpty());
  for (const unsigned flag : {CRFS_vma_flags_gd, CRFS_vma_flags_wf}) {
    program_.Set("vma", kFile, "flags", 5 | Flag(flag));
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("00400000-00401000/flags: has ")));
  }
}

TEST_F(RestartCheckMappingsTest, FlagsThatNobodyHasTogether) {
  const auto found = [this](uint64_t flags) {
    program_.Set("vma", kAnon, "flags", 3 | flags);
    return Found();
  };
  EXPECT_THAT(found(Flag(CRFS_vma_flags_hg) | Flag(CRFS_vma_flags_nh)),
              ElementsAre(HasSubstr("/flags: is rd wr hg nh, and hg excludes nh: write")));
  EXPECT_THAT(found(Flag(CRFS_vma_flags_sr) | Flag(CRFS_vma_flags_rr)),
              ElementsAre(HasSubstr("and sr excludes rr")));
  EXPECT_THAT(found(Flag(CRFS_vma_flags_mg) | Flag(CRFS_vma_flags_sh)),
              ElementsAre(HasSubstr("and mg excludes sh ms")));
  EXPECT_THAT(found(Flag(CRFS_vma_flags_lf)), ElementsAre(HasSubstr("and lf needs lo")));
  EXPECT_THAT(found(Flag(CRFS_vma_flags_lf) | Flag(CRFS_vma_flags_lo)), IsEmpty());
  program_.machine.kernel = 612;
  EXPECT_THAT(found(Flag(CRFS_vma_flags_dp) | Flag(CRFS_vma_flags_wf)),
              ElementsAre(HasSubstr("and dp needs wf dd")));
}

TEST_F(RestartCheckMappingsTest, NamesForgeNothing) {
  program_.Set("vma", kAnon, "name", "a plain name");
  EXPECT_THAT(Found(), IsEmpty());
  for (const std::string& name : {std::string("a\nb"), std::string("[heap]"), std::string("$x"),
                                  std::string("\x80"), std::string(80, 'x')}) {
    program_.Set("vma", kAnon, "name", name);
    EXPECT_THAT(Found(), ElementsAre(HasSubstr("00500000-00501000/name: is ")));
  }
}

TEST_F(RestartCheckMappingsTest, FlagsOfNewerKernels) {
  program_.Set("vma", kAnon, "flags",
               3 | Flag(CRFS_vma_flags_sl) | Flag(CRFS_vma_flags_dp) | Flag(CRFS_vma_flags_wf) |
                   Flag(CRFS_vma_flags_dd));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("which needs Linux 6.10"),
                                   HasSubstr("which needs Linux 6.11")));
  program_.machine.kernel = 610;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("which needs Linux 6.11")));
  program_.machine.kernel = 612;
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckMappingsTest, RoomForTheHeap) {
  program_.Set("mm", 1, "brk", 0x402000);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/rlimit/data/soft: is 8192, and the program's data "
                                             "and heap have 12288 bytes")));
}

// ---- extended registers -----------------------------------------------------------------------

class RestartCheckXstateTest : public testing::Test {
 protected:
  void Put(size_t offset, uint64_t word) {
    std::memcpy(bytes_.data() + offset, &word, sizeof(word));
    program_.Set("thread", 1, "fpu", bytes_);
  }
  std::vector<std::string> Found() { return program_.Problems(CheckExtendedState); }

  HealthyProgram program_;
  std::string bytes_ = std::string(2700, '\0');
};

TEST_F(RestartCheckXstateTest, TooShort) {
  program_.Set("thread", 1, "fpu", std::string(575, '\0'));
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/fpu: has 575 bytes, fewer than 576")));
}

TEST_F(RestartCheckXstateTest, ComponentsInUseThatThisCpuLacks) {
  Put(512, 7 | 0xe0 | 1 << 9);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr(THREAD "/fpu: was saved on a cpu with AVX-512, PKRU, "
                                                    "which this cpu")));
  program_.machine.xstate |= 0xe0 | 1 << 9;
  EXPECT_THAT(Found(), IsEmpty());
  Put(512, uint64_t{1} << 40);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("component 40 of xsave")));
}

TEST_F(RestartCheckXstateTest, CodeMayHaveBeenChosenForTheCpu) {
  Put(464, 7 | 0xe0);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("was saved on a cpu with AVX-512")));
  Put(464, 7 | 1 << 9 | 3 << 17);  // PKRU and AMX, not in use
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(RestartCheckXstateTest, DamagedHeader) {
  Put(520, uint64_t{1} << 63);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/fpu: its header (from byte 520 on)")));
  Put(520, 0);
  EXPECT_THAT(Found(), IsEmpty());
  Put(568, 1);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/fpu: its header (from byte 520 on)")));
}

TEST_F(RestartCheckXstateTest, ReservedBitsOfMxcsr) {
  Put(24, 1 << 20);
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/fpu: mxcsr (at byte 24)")));
}

TEST_F(RestartCheckXstateTest, TooShortForWhatItSays) {
  Put(512, 7);
  EXPECT_THAT(Found(), IsEmpty());
  program_.machine.xstate_ends[2] = bytes_.size() + 1;
  EXPECT_THAT(Found(), ElementsAre(HasSubstr("/fpu: it is too short for AVX")));
}

}  // namespace
}  // namespace crfs
