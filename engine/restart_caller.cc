// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_caller.h"

#include <cpuid.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "index/codec.h"
#include "index/schema.h"

namespace crfs {
namespace {

constexpr uint64_t kPageSize = 4096;

// The value of a file of one line; empty if it cannot be read.
std::string Line(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadProcFile(path);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

uint64_t Number(const std::string& path, uint64_t otherwise) {
  uint64_t number;
  return absl::SimpleAtoi(Line(path), &number) ? number : otherwise;
}

// The numbers of a line of /proc/PID/status.
std::vector<uint32_t> Numbers(absl::string_view text) {
  std::vector<uint32_t> numbers;
  for (const absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
    uint32_t number;
    if (absl::SimpleAtoi(word, &number)) numbers.push_back(number);
  }
  return numbers;
}

void SetIds(absl::string_view text, std::array<uint32_t, 4>& ids) {
  const std::vector<uint32_t> numbers = Numbers(text);
  std::copy_n(numbers.begin(), std::min(numbers.size(), ids.size()), ids.begin());
}

uint64_t Mask(absl::string_view text) {
  uint64_t mask = 0;
  return absl::SimpleHexAtoi(text, &mask) ? mask : 0;
}

void ReadStatus(Caller& caller) {
  for (const absl::string_view line : absl::StrSplit(Line("/proc/self/status"), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    if (parts.first == "Uid") SetIds(value, caller.uids);
    if (parts.first == "Gid") SetIds(value, caller.gids);
    if (parts.first == "Groups") caller.groups = Numbers(value);
    if (parts.first == "CapInh") caller.cap_inheritable = Mask(value);
    if (parts.first == "CapPrm") caller.cap_permitted = Mask(value);
    if (parts.first == "CapEff") caller.cap_effective = Mask(value);
    if (parts.first == "CapBnd") caller.cap_bounding = Mask(value);
    if (parts.first == "NoNewPrivs") caller.no_new_privs = value == "1";
    if (parts.first == "Seccomp" && !absl::SimpleAtoi(value, &caller.seccomp)) caller.seccomp = 0;
  }
  std::sort(caller.groups.begin(), caller.groups.end());
}

// The seventh word of /proc/self/stat; the name, which may hold blanks, ends with ")".
bool HasTerminal() {
  const std::string stat = Line("/proc/self/stat");
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::string_view(stat).substr(stat.rfind(')') + 1), ' ', absl::SkipEmpty());
  return words.size() > 4 && words[4] != "0";
}

void ReadNamespaces(Caller& caller) {
  for (const Word& word : FindType("ns")->Find("kind")->words) {
    struct stat stat = {};
    if (::stat(absl::StrCat("/proc/self/ns/", word.name).c_str(), &stat) == 0) {
      caller.namespace_inodes[word.value] = stat.st_ino;
    }
  }
}

void ReadExtendedState(Machine& machine) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) {
    machine.xstate = 3;  // x87 and SSE, which every x86-64 cpu has
    return;
  }
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  machine.xstate = uint64_t{high} << 32 | low;
  for (unsigned i = 2; i < machine.xstate_ends.size(); ++i) {
    if ((machine.xstate >> i & 1) == 0 || __get_cpuid_count(0xd, i, &a, &b, &c, &d) == 0) continue;
    machine.xstate_ends[i] = uint64_t{b} + a;  // offset and size
  }
}

// With page tables of five levels, as the kernel says, there is more room.
uint64_t AddressEnd() {
  const std::string info = Line("/proc/cpuinfo");
  const size_t flags = info.find("\nflags");
  const std::string line = flags == std::string::npos
                               ? ""
                               : info.substr(flags + 1, info.find('\n', flags + 1) - flags - 1);
  const bool five_levels = absl::StrContains(absl::StrCat(line, " "), " la57 ");
  return (uint64_t{1} << (five_levels ? 56 : 47)) - kPageSize;
}

}  // namespace

Caller DescribeCaller() {
  Caller caller;
  ReadStatus(caller);
  ReadNamespaces(caller);
  caller.securebits = static_cast<uint64_t>(std::max(0, ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)));
  caller.label = Line("/proc/self/attr/current");
  for (size_t i = 0; i < caller.limits.size(); ++i) {
    rlimit limit = {};
    ::getrlimit(static_cast<__rlimit_resource>(i), &limit);
    caller.limits[i] = {limit.rlim_cur, limit.rlim_max};
  }
  caller.nice = ::getpriority(PRIO_PROCESS, 0);
  if (!absl::SimpleAtoi(Line("/proc/self/oom_score_adj"), &caller.oom_score_adj)) {
    caller.oom_score_adj = 0;
  }
  caller.has_terminal = HasTerminal();
  return caller;
}

Machine DescribeHost() {
  Machine machine;
  ReadExtendedState(machine);
  machine.address_end = AddressEnd();
  machine.lowest_address = Number("/proc/sys/vm/mmap_min_addr", 0);
  machine.pid_max = Number("/proc/sys/kernel/pid_max", uint64_t{1} << 22);
  machine.fd_max = Number("/proc/sys/fs/nr_open", uint64_t{1} << 20);
  machine.pipe_max = Number("/proc/sys/fs/pipe-max-size", uint64_t{1} << 20);
  machine.pid_namespaces = Number("/proc/sys/user/max_pid_namespaces", 1);
  utsname name = {};
  ::uname(&name);
  unsigned major = 0, minor = 0;
  if (std::sscanf(name.release, "%u.%u", &major, &minor) == 2) machine.kernel = major * 100 + minor;
  const absl::StatusOr<Value> cpus =
      ParseValue(*FindType("thread")->Find("cpus"), Line("/sys/devices/system/cpu/online"));
  if (cpus.ok()) machine.cpus = cpus->bytes;
  return machine;
}

}  // namespace crfs
