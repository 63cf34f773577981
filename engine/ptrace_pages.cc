// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

// Documentation/admin-guide/mm/pagemap.rst of the kernel; its header is newer than Debian 12's.
struct ScanArgument {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct ScanRegion {
  uint64_t start, end, categories;
};
constexpr uint64_t kIsFile = 1 << 2, kIsPresent = 1 << 3, kIsSwapped = 1 << 4, kIsZero = 1 << 5;
constexpr uint64_t kIsHuge = 1 << 6;
constexpr uint64_t kIsGuard = 1 << 8;  // of MADV_GUARD_INSTALL; newer than the rest
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);

// Entries of /proc/PID/pagemap.
constexpr uint64_t kPresentBit = uint64_t{1} << 63;
constexpr uint64_t kSwapBit = uint64_t{1} << 62;
constexpr uint64_t kFileBit = uint64_t{1} << 61;  // or shared memory
constexpr uint64_t kExclusiveBit = uint64_t{1} << 56;
constexpr uint64_t kFrameMask = (uint64_t{1} << 55) - 1;  // 0 for those without CAP_SYS_ADMIN

void Append(std::vector<PageRange>& ranges, uint64_t start, uint64_t end) {
  if (!ranges.empty() && ranges.back().end == start) {
    ranges.back().end = end;
  } else {
    ranges.push_back({start, end});
  }
}

bool KnowsCategory(uint64_t category) {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  ScanArgument argument = {};
  argument.size = sizeof(argument);
  argument.category_anyof_mask = category;
  argument.return_mask = category;
  return ::ioctl(pagemap.get(), kPagemapScan, &argument) >= 0;
}

absl::Status Failed(uint64_t start) {
  return absl::ErrnoToStatus(
      errno, absl::StrFormat("the page table of a frozen task cannot be read at %#x", start));
}

}  // namespace

bool HasPagemapScan() { return KnowsCategory(kIsPresent); }

absl::StatusOr<PrivatePages> PrivatePages::Open(pid_t pid, Way way) {
  const std::string path = ProcPath(pid, "pagemap");
  UniqueFd pagemap(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!pagemap.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  const std::string memory = ProcPath(pid, "mem");
  UniqueFd mem(::open(memory.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(memory, ": cannot be opened"));
  UniqueFd flags(::open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
  return PrivatePages(std::move(pagemap), std::move(mem), std::move(flags),
                      way == Way::kAuto && HasPagemapScan());
}

absl::StatusOr<std::vector<PageRange>> PrivatePages::Find(uint64_t start, uint64_t end,
                                                          bool has_file) const {
  return scans_ ? Scan(start, end, has_file) : ReadEntries(start, end, has_file);
}

absl::StatusOr<std::vector<PageRange>> PrivatePages::Scan(uint64_t start, uint64_t end,
                                                          bool has_file) const {
  static const bool knows_guards = KnowsCategory(kIsGuard);
  const uint64_t no_data = kIsFile | kIsZero | (knows_guards ? kIsGuard : 0);
  std::vector<PageRange> ranges;
  std::array<ScanRegion, 512> regions;
  while (start < end) {
    ScanArgument argument = {};
    argument.size = sizeof(argument);
    argument.start = start;
    argument.end = end;
    argument.vec = reinterpret_cast<uint64_t>(regions.data());
    argument.vec_len = regions.size();
    argument.category_inverted = no_data;
    argument.category_mask = no_data;
    argument.category_anyof_mask = kIsPresent | kIsSwapped;
    argument.return_mask = kIsPresent | kIsSwapped | kIsHuge;
    const int count = ::ioctl(pagemap_.get(), kPagemapScan, &argument);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed(start);
    for (int i = 0; i < count; ++i) {
      const ScanRegion& region = regions[static_cast<size_t>(i)];
      // The huge zero page counts as any huge page; the entries tell more.
      if ((region.categories & kIsHuge) == 0 || has_file) {
        Append(ranges, region.start, region.end);
        continue;
      }
      const absl::StatusOr<std::vector<PageRange>> huge =
          ReadEntries(region.start, region.end, has_file);
      if (!huge.ok()) return huge;
      for (const PageRange& range : *huge) Append(ranges, range.start, range.end);
    }
    if (argument.walk_end <= start) break;
    start = argument.walk_end;
  }
  return ranges;
}

// Whether a page is the kernel's page of zeros, which stands for what was only read. No entry tells
// it from an ordinary one of zeros that fork(2) has left shared, but the flags of the page do, to a
// privileged user. To others the two are one: neither need be saved.
bool PrivatePages::IsZeroPage(uint64_t address, uint64_t entry) const {
  std::array<char, kPage> page;
  if (::pread(mem_.get(), page.data(), page.size(), static_cast<off_t>(address)) !=
      static_cast<ssize_t>(page.size())) {
    return false;
  }
  if (std::any_of(page.begin(), page.end(), [](char byte) { return byte != 0; })) return false;
  constexpr uint64_t kZeroFlag = uint64_t{1} << 24;  // KPF_ZERO_PAGE, linux/kernel-page-flags.h
  uint64_t flags = 0;
  const auto place = static_cast<off_t>((entry & kFrameMask) * sizeof(flags));
  if (place == 0 || ::pread(flags_.get(), &flags, sizeof(flags), place) != sizeof(flags)) {
    return true;
  }
  return (flags & kZeroFlag) != 0;
}

absl::StatusOr<std::vector<PageRange>> PrivatePages::ReadEntries(uint64_t start, uint64_t end,
                                                                 bool has_file) const {
  std::vector<PageRange> ranges;
  std::vector<uint64_t> entries(std::min<uint64_t>((end - start) / kPage, 1 << 16));
  while (start < end) {
    const size_t wanted = std::min<uint64_t>((end - start) / kPage, entries.size());
    const ssize_t got = ::pread(pagemap_.get(), entries.data(), wanted * sizeof(uint64_t),
                                static_cast<off_t>(start / kPage * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(start);
    const size_t count = static_cast<size_t>(got) / sizeof(uint64_t);
    if (count == 0) break;
    for (size_t i = 0; i < count; ++i, start += kPage) {
      const uint64_t entry = entries[i];
      if ((entry & (kPresentBit | kSwapBit)) == 0 || (entry & kFileBit) != 0) continue;
      const bool may_be_zero_page = (entry & kPresentBit) != 0 && (entry & kExclusiveBit) == 0;
      if (!has_file && may_be_zero_page && IsZeroPage(start, entry)) continue;
      Append(ranges, start, start + kPage);
    }
  }
  return ranges;
}

}  // namespace crfs
