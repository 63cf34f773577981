// SPDX-License-Identifier: Apache-2.0
//
// Who restarts a checkpoint, and on what machine: what the saved state is compared with.

#ifndef CRFS_ENGINE_RESTART_CALLER_H_
#define CRFS_ENGINE_RESTART_CALLER_H_

#include <linux/capability.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace crfs {

struct Caller {
  std::array<uint32_t, 4> uids = {};  // real, effective, saved, of the file system
  std::array<uint32_t, 4> gids = {};
  std::vector<uint32_t> groups;  // ascending
  uint64_t cap_inheritable = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  uint64_t cap_bounding = 0;
  uint64_t securebits = 0;
  bool no_new_privs = false;
  unsigned seccomp = 0;  // mode
  std::string label;     // of the security module; empty: none
  struct Limit {
    uint64_t soft;
    uint64_t hard;
  };
  std::array<Limit, 16> limits = {};  // by RLIMIT_*
  int nice = 0;
  int oom_score_adj = 0;
  bool has_terminal = false;                      // a controlling one
  std::map<uint64_t, uint64_t> namespace_inodes;  // by ns_kind

  bool Can(int capability) const { return (cap_effective >> capability & 1) != 0; }
};

struct Machine {
  // Components of the extended state that the kernel lets programs use (XCR0), and where
  // each ends in an xsave area; 0: there is no such one.
  uint64_t xstate = 0;
  std::array<uint64_t, 64> xstate_ends = {};
  uint64_t address_end = 0;     // of the memory of a program (TASK_SIZE_MAX)
  uint64_t lowest_address = 0;  // that who has no rights may map
  uint64_t pid_max = 0;         // pids are below it
  uint64_t fd_max = 0;          // fs.nr_open
  uint64_t pipe_max = 0;        // bytes that who has no rights may give a pipe
  uint64_t pid_namespaces = 0;  // how many there may be
  unsigned kernel = 0;          // 6.12 is 612
  std::string cpus;             // online, as a `cpulist` row holds them
};

// Of this process, and of the machine that it runs on.
Caller DescribeCaller();
Machine DescribeHost();

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_CALLER_H_
