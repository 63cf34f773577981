// SPDX-License-Identifier: Apache-2.0
//
// Values that no program can have, which an edit may have made. The module refuses them too
// (kmod/restart_values.c), with a number; here they are told in words, each with its file.

#include <climits>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/restart_check.h"

namespace crfs {
namespace {

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kTimeMax = INT64_MAX;  // nanoseconds; as much is never
constexpr uint64_t kSignalMax = 64;
// Flags that programs set in eflags, and those that always show (1, IF); not IOPL, VM, VIF, VIP.
constexpr uint64_t kEflags = 0x254dd5 | 0x202;
// UAPI_SA_FLAGS of the kernel.
constexpr uint64_t kSaFlags = 0xdc000c07;
constexpr uint64_t kSsFlags = 0x80000003;
constexpr uint64_t kClosedOpenFlags = 01000 | 0200 | 0100;  // O_TRUNC, O_EXCL, O_CREAT

constexpr uint64_t Bit(unsigned bit) { return uint64_t{1} << bit; }

enum class Rule {
  kAtMost,     // limit
  kBits,       // of limit alone
  kIs,         // limit
  kAddress,    // below the end of a program's memory
  kAddressOf,  // the same, and not 0
  kSegment,    // 0, or a selector for user mode
  kPages,      // a multiple of the page size
  kNotNegative,
};

struct ValueRule {
  absl::string_view type;
  absl::string_view field;
  Rule rule;
  uint64_t limit = 0;
};

// Of threads, only if they live.
constexpr ValueRule kRules[] = {
    {"thread", "rip", Rule::kAddress},
    {"thread", "fs_base", Rule::kAddress},
    {"thread", "gs_base", Rule::kAddress},
    {"thread", "cs", Rule::kIs, 0x33},
    {"thread", "ss", Rule::kIs, 0x2b},
    {"thread", "ds", Rule::kSegment},
    {"thread", "es", Rule::kSegment},
    {"thread", "fs", Rule::kSegment},
    {"thread", "gs", Rule::kSegment},
    {"thread", "eflags", Rule::kBits, kEflags},
    {"thread", "altstack_flags", Rule::kBits, kSsFlags},
    {"thread", "restore_sigmask", Rule::kAtMost, 1},
    {"thread", "syscall_remaining", Rule::kAtMost, kTimeMax - 1},
    {"thread", "exit_code", Rule::kAtMost, 0xffff},
    {"thread", "no_new_privs", Rule::kAtMost, 1},
    {"thread", "reset_on_fork", Rule::kAtMost, 1},
    {"thread", "priority", Rule::kAtMost, 99},
    {"mm", "start_code", Rule::kAddressOf},
    {"mm", "end_code", Rule::kAddressOf},
    {"mm", "start_data", Rule::kAddressOf},
    {"mm", "end_data", Rule::kAddressOf},
    {"mm", "start_brk", Rule::kAddressOf},
    {"mm", "brk", Rule::kAddressOf},
    {"mm", "start_stack", Rule::kAddressOf},
    {"mm", "arg_start", Rule::kAddressOf},
    {"mm", "arg_end", Rule::kAddressOf},
    {"mm", "env_start", Rule::kAddressOf},
    {"mm", "env_end", Rule::kAddressOf},
    {"mm", "vdso", Rule::kAddress},
    {"mm", "dumpable", Rule::kAtMost, 2},
    {"mm", "coredump_filter", Rule::kBits, 0x1ff},
    {"mm", "thp_disable", Rule::kAtMost, 1},
    {"mm", "def_flags", Rule::kBits, Bit(CRFS_vma_flags_lo) | Bit(CRFS_vma_flags_lf)},
    {"vma", "flags", Rule::kBits, Bit(CRFS_vma_flags_dp + 1) - 1},
    {"vma", "offset", Rule::kPages},
    {"sigaction", "flags", Rule::kBits, kSaFlags},
    {"task", "exit_code", Rule::kAtMost, 0xffff},
    {"task", "child_subreaper", Rule::kAtMost, 1},
    {"task", "itimer_real_value", Rule::kAtMost, kTimeMax - 1},
    {"task", "itimer_real_interval", Rule::kAtMost, kTimeMax - 1},
    {"task", "itimer_virtual_value", Rule::kAtMost, kTimeMax - 1},
    {"task", "itimer_virtual_interval", Rule::kAtMost, kTimeMax - 1},
    {"task", "itimer_prof_value", Rule::kAtMost, kTimeMax - 1},
    {"task", "itimer_prof_interval", Rule::kAtMost, kTimeMax - 1},
    {"signal", "queued", Rule::kAtMost, 1},
    {"thread_signal", "queued", Rule::kAtMost, 1},
    {"fd", "cloexec", Rule::kAtMost, 1},
    {"fd", "excluded", Rule::kAtMost, 1},
    {"file", "owner_signal", Rule::kAtMost, kSignalMax},
    {"file", "pos", Rule::kNotNegative},
    {"file", "flags", Rule::kBits, ~kClosedOpenFlags & 0xffffffff},
    {"shmem", "size", Rule::kNotNegative},
};

struct Pair {
  absl::string_view type;
  absl::string_view lower;
  absl::string_view upper;
  bool may_be_equal;
};

constexpr Pair kPairs[] = {
    {"mm", "start_code", "end_code", false}, {"mm", "start_data", "end_data", true},
    {"mm", "start_brk", "brk", true},        {"mm", "arg_start", "arg_end", true},
    {"mm", "env_start", "env_end", true},
};

bool IsDead(const ObjectView& object) {
  return object.type().tag == CRFS_TAG_thread && object.Number("state") == CRFS_state_zombie;
}

// What is wrong with a number; empty if nothing is.
std::string WhatBreaks(const ValueRule& rule, const Row& row, uint64_t number,
                       const Machine& machine) {
  switch (rule.rule) {
    case Rule::kAtMost:
      return number <= rule.limit ? "" : absl::StrCat("which is more than ", rule.limit);
    case Rule::kBits:
      return (number & ~rule.limit) == 0
                 ? ""
                 : absl::StrCat("and nobody can have ", ShownBits(row, number & ~rule.limit));
    case Rule::kIs:
      return number == rule.limit
                 ? ""
                 : absl::StrCat("and 64-bit programs have 0x", absl::Hex(rule.limit));
    case Rule::kAddress:
    case Rule::kAddressOf:
      if (number >= machine.address_end) return "which is no address of a program";
      return number == 0 && rule.rule == Rule::kAddressOf ? "which is no address" : "";
    case Rule::kSegment:
      return number <= 0xffff && (number == 0 || (number & 3) == 3)
                 ? ""
                 : "which is no selector of a program";
    case Rule::kPages:
      return number % kPageSize == 0 ? "" : "which is no multiple of a page";
    case Rule::kNotNegative:
      return number <= INT64_MAX ? "" : "which is no number of bytes";
  }
  return "";
}

class ValueChecker {
 public:
  explicit ValueChecker(const RestartCheck& check) : check_(check) {}

  void Check() {
    for (const ValueRule& rule : kRules) CheckRule(rule);
    for (const Pair& pair : kPairs) CheckPair(pair);
    ForEach("thread", [this](const ObjectView& thread) { CheckThread(thread); });
    ForEach("sigaction", [this](const ObjectView& action) { CheckAction(action); });
    ForEach("signal", [this](const ObjectView& signal) { CheckSignal(signal); });
    ForEach("thread_signal", [this](const ObjectView& signal) { CheckSignal(signal); });
    ForEach("pipe", [this](const ObjectView& pipe) { CheckPipe(pipe); });
    ForEach("task", [this](const ObjectView& task) { CheckLimits(task); });
  }

 private:
  template <typename Visit>
  void ForEach(absl::string_view type, const Visit& visit) {
    for (const uint64_t id : check_.checkpoint.Ids(type)) {
      const ObjectView object = check_.checkpoint.Get(type, id);
      if (!IsDead(object)) visit(object);
    }
  }

  void Add(const ObjectView& object, absl::string_view field, absl::string_view why) {
    check_.Add(object, field, absl::StrCat("is ", ShownValue(object, field), ", ", why),
               "write the value that it was saved with");
  }

  void CheckRule(const ValueRule& rule) {
    const Row& row = *FindType(rule.type)->Find(rule.field);
    ForEach(rule.type, [&](const ObjectView& object) {
      const std::string why = WhatBreaks(rule, row, object.Number(row), check_.machine);
      if (!why.empty()) Add(object, rule.field, why);
    });
  }

  void CheckPair(const Pair& pair) {
    ForEach(pair.type, [&](const ObjectView& object) {
      const uint64_t lower = object.Number(pair.lower), upper = object.Number(pair.upper);
      if (lower < upper || (pair.may_be_equal && lower == upper)) return;
      Add(object, pair.upper, absl::StrCat("and ", pair.lower, " is 0x", absl::Hex(lower)));
    });
  }

  // ---- threads --------------------------------------------------------------------------------

  void CheckThread(const ObjectView& thread) {
    const uint64_t end = check_.machine.address_end;
    const uint64_t sp = thread.Number("altstack_sp"), size = thread.Number("altstack_size");
    if (sp > end || size > end - sp) Add(thread, "altstack_sp", "where no stack of its size is");
    if (thread.Bytes("comm").size() > 15) Add(thread, "comm", "which has more than 15 bytes");
    CheckRseq(thread);
    if (thread.Number("syscall_restart") == CRFS_syscall_restart_block) CheckSleep(thread);
  }

  void CheckRseq(const ObjectView& thread) {
    const uint64_t address = thread.Number("rseq_address"), length = thread.Number("rseq_length");
    if (address == 0) return;
    if (address % 32 != 0 || address >= check_.machine.address_end) {
      Add(thread, "rseq_address", "where no struct rseq can be");
    }
    if (length < 32 || length > kPageSize) Add(thread, "rseq_length", "and has 32 bytes and more");
  }

  // The restart blocks that the module knows (kmod/restart_call.c).
  void CheckSleep(const ObjectView& thread) {
    const uint64_t clock = thread.Number("syscall_clock"), flags = thread.Number("syscall_flags");
    constexpr uint64_t kPrivate = 128, kRealtime = 256;  // FUTEX_*
    switch (thread.Number("syscall_block")) {
      case CRFS_restart_block_nanosleep:
        // CLOCK_REALTIME, MONOTONIC, BOOTTIME, TAI
        if (clock != 0 && clock != 1 && clock != 7 && clock != 11) {
          Add(thread, "syscall_clock", "by which nobody sleeps");
        }
        return;
      case CRFS_restart_block_alarm_nanosleep:
        if (clock != 8 && clock != 9) Add(thread, "syscall_clock", "which is no clock of alarms");
        return;
      case CRFS_restart_block_poll:
        if (flags > 1) Add(thread, "syscall_flags", "and poll has 0 or 1");
        if (thread.Number("syscall_value") > INT_MAX) {
          Add(thread, "syscall_value", "which is no number of descriptors");
        }
        return;
      case CRFS_restart_block_futex:
        if (flags & ~(kPrivate | kRealtime)) {
          Add(thread, "syscall_flags", "which are no flags of a futex");
        } else if (clock != (flags & kRealtime ? 0 : 1)) {
          Add(thread, "syscall_clock", "which is not the clock that syscall/flags say");
        }
        return;
      case CRFS_restart_block_cpu_nanosleep:
        return;
      default:
        check_.Add(thread, "syscall_block",
                   absl::StrCat("is ", ShownValue(thread, "syscall_block"),
                                ": the thread sleeps in a call that cannot be restarted"),
                   "checkpoint the program again at another moment");
    }
  }

  // ---- signals, pipes, limits -----------------------------------------------------------------

  void CheckAction(const ObjectView& action) {
    constexpr uint64_t kKill = 9, kStop = 19;
    const uint64_t signal = action.KeyNumber();
    if ((signal == kKill || signal == kStop) && action.Number("handler") != 0) {
      check_.Add(action, "handler", "is of a signal that cannot be caught",
                 absl::StrCat("delete ", check_.checkpoint.Where(action)));
    }
  }

  void CheckSignal(const ObjectView& signal) {
    constexpr uint64_t kKill = 9;
    constexpr size_t kFields = 32;  // of siginfo_t that the kernel keeps
    const uint64_t number = signal.Number("signo");
    if (number < 1 || number > kSignalMax || number == kKill) {
      check_.Add(signal, "signo", "is no signal that can be pending",
                 absl::StrCat("delete ", check_.checkpoint.Where(signal)));
    }
    if (signal.Bytes("fields").size() > kFields) {
      check_.Add(signal, "fields", absl::StrCat("has more than ", kFields, " bytes"), "shorten it");
    }
  }

  void CheckPipe(const ObjectView& pipe) {
    const uint64_t capacity = pipe.Number("capacity");
    if (capacity < kPageSize || capacity > Bit(31) || (capacity & (capacity - 1)) != 0) {
      return check_.Add(pipe, "capacity", absl::StrCat("is ", capacity, ", which no pipe has"),
                        "write a power of two from 4096 on");
    }
    const absl::string_view packets = pipe.Bytes("packets");
    uint64_t total = 0, buffers = 0;
    for (size_t i = 0; i + sizeof(uint32_t) <= packets.size(); i += sizeof(uint32_t)) {
      uint32_t length;
      std::memcpy(&length, packets.data() + i, sizeof(length));
      if (length > kPageSize || length == 0) {
        check_.Add(pipe, "packets", absl::StrCat("has a packet of ", length, " bytes"),
                   "packets have 1 to 4096");
      }
      total += length;
      ++buffers;
    }
    const uint64_t data = pipe.Bytes("data").size();
    if (buffers != 0 && total != data) {
      check_.Add(pipe, "packets", absl::StrCat("tells of ", total, " bytes, and data has ", data),
                 "make them the same");
    }
    if (buffers == 0 ? data > capacity : buffers > capacity / kPageSize) {
      check_.Add(pipe, "capacity", absl::StrCat("is ", capacity, ", too few for what data holds"),
                 "write a greater power of two");
    }
  }

  // The names of a task's limits come in pairs of rows: soft, hard.
  void CheckLimits(const ObjectView& task) {
    const std::span<const Row> rows = task.type().rows;
    for (const Row& row : rows) {
      if (!absl::StartsWith(row.field, "rlimit_") || !absl::EndsWith(row.field, "_soft")) {
        continue;
      }
      const Row& hard = rows[row.index + 1];
      if (task.Number(row) > task.Number(hard)) {
        Add(task, row.field,
            absl::StrCat("more than the hard limit, ", ShownValue(task, hard.field)));
      }
    }
  }

  const RestartCheck& check_;
};

}  // namespace

void CheckValues(const RestartCheck& check) { ValueChecker(check).Check(); }

}  // namespace crfs
