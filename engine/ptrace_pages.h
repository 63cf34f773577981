// SPDX-License-Identifier: Apache-2.0
//
// Which pages of an address space hold data that is nowhere else: private ones that were written,
// in memory or swapped out. The zero page, pages of files and what was never touched are not.

#ifndef CRFS_ENGINE_PTRACE_PAGES_H_
#define CRFS_ENGINE_PTRACE_PAGES_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/unique_fd.h"

namespace crfs {

struct PageRange {
  uint64_t start;
  uint64_t end;
};

class PrivatePages {
 public:
  // kAuto: PAGEMAP_SCAN (Linux 6.7) where the kernel has it, else all of /proc/PID/pagemap.
  enum class Way { kAuto, kPagemap };

  static absl::StatusOr<PrivatePages> Open(pid_t pid, Way way = Way::kAuto);

  // Those of one mapping, ascending, neighbours merged. `has_file`: what has not been written is
  // that of a file, so that a page of zeros counts.
  absl::StatusOr<std::vector<PageRange>> Find(uint64_t start, uint64_t end, bool has_file) const;

 private:
  PrivatePages(UniqueFd pagemap, UniqueFd mem, UniqueFd flags, bool scans)
      : pagemap_(std::move(pagemap)),
        mem_(std::move(mem)),
        flags_(std::move(flags)),
        scans_(scans) {}
  absl::StatusOr<std::vector<PageRange>> Scan(uint64_t start, uint64_t end, bool has_file) const;
  absl::StatusOr<std::vector<PageRange>> ReadEntries(uint64_t start, uint64_t end,
                                                     bool has_file) const;
  bool IsZeroPage(uint64_t address, uint64_t entry) const;

  UniqueFd pagemap_;
  UniqueFd mem_;
  UniqueFd flags_;  // /proc/kpageflags, if it may be read
  bool scans_;
};

// Whether this kernel has the ioctl PAGEMAP_SCAN.
bool HasPagemapScan();

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_PAGES_H_
