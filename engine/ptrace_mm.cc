// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_mm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crfs/schema.h"
#include "engine/proc_file.h"
#include "engine/proc_maps.h"
#include "engine/proc_status.h"
#include "engine/ptrace_pages.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

// Fields of /proc/PID/stat (proc(5)).
struct AddressField {
  absl::string_view row;
  int field;
};
constexpr AddressField kAddresses[] = {
    {"start_code", 26}, {"end_code", 27},  {"start_stack", 28}, {"start_data", 45},
    {"end_data", 46},   {"start_brk", 47}, {"arg_start", 48},   {"arg_end", 49},
    {"env_start", 50},  {"env_end", 51},
};

// A mapping's own name, by the kernel or by PR_SET_VMA; what maps shows of a file, the heap and
// the stack is none.
std::string OwnName(const ProcMapping& mapping) {
  absl::string_view name = mapping.name;
  for (const absl::string_view prefix : {"[anon:", "[anon_shmem:"}) {
    if (absl::ConsumePrefix(&name, prefix)) return std::string(absl::StripSuffix(name, "]"));
  }
  if (mapping.has_file() || name == "[heap]" || absl::StartsWith(name, "[stack")) return "";
  return std::string(name);
}

class MmReader {
 public:
  MmReader(Snapshot& snapshot, FileTable& files, pid_t pid, const MmAnswers& answers)
      : snapshot_(snapshot), files_(files), pid_(pid), answers_(answers) {}

  absl::StatusOr<uint64_t> Add() {
    absl::StatusOr<std::vector<ProcMapping>> mappings = ReadMappings(pid_);
    if (!mappings.ok()) return mappings.status();
    mappings_ = *std::move(mappings);
    blockers_ = answers_.blockers;
    ObjectBuilder mm(*FindType("mm"));
    if (absl::Status status = FillMm(mm); !status.ok()) return status;
    const absl::StatusOr<uint64_t> id = snapshot_.Add(mm);
    if (!id.ok()) return id;
    absl::StatusOr<PrivatePages> pages = PrivatePages::Open(pid_);
    if (!pages.ok()) return pages.status();
    policies_ = MappingsWithPolicy(pid_);
    for (const ProcMapping& mapping : mappings_) {
      if (absl::Status status = AddVma(*id, mapping, *pages); !status.ok()) return status;
    }
    mm.SetNumber("blockers", blockers_);
    if (absl::Status status = snapshot_.Replace(*id, mm); !status.ok()) return status;
    return id;
  }

 private:
  absl::Status FillMm(ObjectBuilder& mm) {
    const absl::StatusOr<ProcStat> stat = ProcStat::Read(pid_, pid_);
    if (!stat.ok()) return stat.status();
    for (const AddressField& address : kAddresses) {
      mm.SetNumber(address.row, stat->Number(address.field));
    }
    start_stack_ = stat->Number(28);
    start_brk_ = stat->Number(47);
    const absl::StatusOr<std::string> auxv = ReadProcFile(ProcPath(pid_, "auxv"));
    if (!auxv.ok()) return auxv.status();
    const absl::StatusOr<uint64_t> exe = files_.Program(pid_);
    if (!exe.ok()) return exe.status();
    const std::string filter = ReadProcFile(ProcPath(pid_, "coredump_filter")).value_or("0");
    uint32_t coredump_filter = 0;
    (void)absl::SimpleHexAtoi(absl::StripAsciiWhitespace(filter), &coredump_filter);
    uint64_t vdso = 0;
    for (const ProcMapping& mapping : mappings_) {
      if (mapping.name == "[vdso]") vdso = mapping.start;
    }
    mm.SetNumber("brk", answers_.brk)
        .SetNumber("vdso", vdso)
        .SetBytes("auxv", *auxv)
        .SetNumber("exe", *exe)
        .SetNumber("def_flags", answers_.def_flags)
        .SetNumber("dumpable", answers_.dumpable)
        .SetNumber("coredump_filter", coredump_filter)
        .SetNumber("thp_disable", answers_.thp_disable);
    return absl::OkStatus();
  }

  crfs_vma_kind KindOf(const ProcMapping& mapping, const std::string& name) const {
    if (!name.empty() && !absl::StartsWith(mapping.name, "[anon")) {
      if (name == "[vdso]") return CRFS_vma_kind_vdso;
      return absl::StartsWith(name, "[vvar") ? CRFS_vma_kind_vvar : CRFS_vma_kind_special;
    }
    if (mapping.start <= answers_.brk && mapping.end >= start_brk_) return CRFS_vma_kind_heap;
    if (mapping.start <= start_stack_ && mapping.end >= start_stack_) return CRFS_vma_kind_stack;
    return CRFS_vma_kind_anon;
  }

  absl::Status AddVma(uint64_t mm, const ProcMapping& mapping, const PrivatePages& pages) {
    const std::string name = OwnName(mapping);
    FileTable::MappedIds ids;
    crfs_vma_kind kind;
    if (mapping.has_file()) {
      const absl::StatusOr<FileTable::MappedIds> mapped = files_.Mapped(
          pid_, {mapping.start, mapping.end, mapping.dev, mapping.inode, mapping.name});
      if (!mapped.ok()) return mapped.status();
      ids = *mapped;
      kind = ids.shmem != 0 ? CRFS_vma_kind_shmem : CRFS_vma_kind_file;
    } else {
      kind = KindOf(mapping, name);
    }
    NoteBlockers(mapping, kind);
    ObjectBuilder vma(*FindType("vma"));
    vma.SetNumber("mm", mm)
        .SetNumber("start", mapping.start)
        .SetNumber("end", mapping.end)
        .SetNumber("flags", mapping.flags)
        .SetNumber("offset", mapping.has_file() ? mapping.offset : 0)
        .SetNumber("prot", mapping.prot)
        .SetNumber("kind", kind)
        .SetNumber("file", ids.file)
        .SetNumber("shmem", ids.shmem)
        .SetBytes("name", name);
    const absl::StatusOr<uint64_t> id = snapshot_.Add(vma);
    if (!id.ok()) return id.status();
    return AddExtents(*id, mapping, kind, pages);
  }

  void NoteBlockers(const ProcMapping& mapping, crfs_vma_kind kind) {
    const bool kernels = kind == CRFS_vma_kind_vvar || kind == CRFS_vma_kind_vdso;
    if (mapping.Has(CRFS_vma_flags_ht)) {
      blockers_ |= Blocker(CRFS_blockers_hugetlb);
    } else if (!kernels && (mapping.Has(CRFS_vma_flags_pf) || mapping.Has(CRFS_vma_flags_io) ||
                            mapping.Has(CRFS_vma_flags_mm))) {
      blockers_ |= Blocker(CRFS_blockers_device_memory);
    }
    if (mapping.Has(CRFS_vma_flags_um) || mapping.Has(CRFS_vma_flags_uw) ||
        mapping.Has(CRFS_vma_flags_ui)) {
      blockers_ |= Blocker(CRFS_blockers_userfault);
    }
    if (mapping.protection_key != 0) blockers_ |= Blocker(CRFS_blockers_pkeys);
    if (policies_.contains(mapping.start)) blockers_ |= Blocker(CRFS_blockers_mempolicy);
    if (mapping.has_file() && absl::StartsWith(mapping.name, "/[aio]")) {
      blockers_ |= Blocker(CRFS_blockers_aio);
    }
    if (mapping.name == "[uprobes]") blockers_ |= Blocker(CRFS_blockers_uprobes);
  }

  absl::Status AddExtents(uint64_t id, const ProcMapping& mapping, crfs_vma_kind kind,
                          const PrivatePages& pages) {
    const auto add = [&](uint64_t start, uint64_t end) {
      snapshot_.extents().push_back({CRFS_TAG_vma, id, {start - mapping.start, end - start}});
    };
    // Code of this kernel: another one that restarts the program has other code.
    if (kind == CRFS_vma_kind_vdso) add(mapping.start, mapping.end);
    if (kind == CRFS_vma_kind_vdso || kind == CRFS_vma_kind_vvar || kind == CRFS_vma_kind_special ||
        mapping.shared || mapping.Has(CRFS_vma_flags_ht) || mapping.Has(CRFS_vma_flags_pf) ||
        mapping.Has(CRFS_vma_flags_io)) {
      return absl::OkStatus();
    }
    const absl::StatusOr<std::vector<PageRange>> found =
        pages.Find(mapping.start, mapping.end, mapping.has_file());
    if (!found.ok()) return found.status();
    for (const PageRange& range : *found) add(range.start, range.end);
    return absl::OkStatus();
  }

  Snapshot& snapshot_;
  FileTable& files_;
  const pid_t pid_;
  const MmAnswers& answers_;
  std::vector<ProcMapping> mappings_;
  absl::flat_hash_set<uint64_t> policies_;
  uint64_t start_brk_ = 0;
  uint64_t start_stack_ = 0;
  uint32_t blockers_ = 0;
};

}  // namespace

absl::StatusOr<uint64_t> AddMm(Snapshot& snapshot, FileTable& files, pid_t pid,
                               const MmAnswers& answers) {
  return MmReader(snapshot, files, pid, answers).Add();
}

absl::StatusOr<std::vector<OwnedExtent>> ShmemExtents(const Snapshot& snapshot,
                                                      const FileTable& files) {
  std::vector<OwnedExtent> extents;
  for (uint64_t id = 1; id <= files.shmem_count(); ++id) {
    const int fd = files.shmem(id);
    const uint64_t size = snapshot.Get("shmem", id).Number("size");
    const auto end_of_data = static_cast<off_t>((size + kPage - 1) / kPage * kPage);
    for (off_t end = 0; end < end_of_data;) {
      off_t start = ::lseek(fd, end, SEEK_DATA);
      if (start >= end_of_data || (start < 0 && errno == ENXIO)) break;
      if (start >= 0) end = ::lseek(fd, start, SEEK_HOLE);
      if (start < 0 || end < 0) {
        return absl::ErrnoToStatus(errno, "holes of shared memory cannot be found");
      }
      start = start / static_cast<off_t>(kPage) * static_cast<off_t>(kPage);
      end = (end + static_cast<off_t>(kPage) - 1) / static_cast<off_t>(kPage) *
            static_cast<off_t>(kPage);
      extents.push_back(
          {CRFS_TAG_shmem, id, {static_cast<uint64_t>(start), static_cast<uint64_t>(end - start)}});
    }
  }
  return extents;
}

}  // namespace crfs
