// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_space.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/proc_file.h"
#include "engine/ptrace_vma.h"
#include "engine/restart_caller.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

std::string WhyNot(long error) {
  switch (error) {
    case EEXIST:
      return "lies where the kernel's own mappings stand: try again";
    case EACCES:
      return "may not be executed, or mapped so";
    case ETXTBSY:
      return "is open for writing, and cannot be executed meanwhile";
    case EAGAIN:
      return "goes beyond your limit of locked memory (ulimit -l)";
    case EPERM:
      return "needs a right that you do not have: run crfs as root";
    case ENOMEM:
      return "there is not enough memory, or there are too many mappings (vm.max_map_count)";
    case ENODATA:
      return "the file that its memory is read from is too short";
    case EIO:
      return "its memory cannot be read, as it or the disk is damaged: copy the image again";
    default:
      return "cannot be rebuilt";
  }
}

}  // namespace

absl::StatusOr<AddressSpace> AddressSpace::Open(const SpaceSources& sources, uint64_t id,
                                                const VdsoPlan& vdso, Puppet builder) {
  const std::string path = ProcPath(builder.pid(), "mem");
  UniqueFd memory(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!memory.valid()) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  return AddressSpace(sources, id, vdso, std::move(builder), std::move(memory));
}

absl::Status AddressSpace::Failed(const ObjectView& object, absl::string_view field,
                                  long error) const {
  return absl::ErrnoToStatus(static_cast<int>(error),
                             absl::StrCat(field.empty() ? sources_->checkpoint.Where(object)
                                                        : sources_->checkpoint.Where(object, field),
                                          ": ", WhyNot(error)));
}

absl::Status AddressSpace::Check(const ObjectView& object, absl::string_view field,
                                 const absl::StatusOr<long>& result) const {
  if (!result.ok()) return result.status();
  if (*result >= 0 || *result < -4095) return absl::OkStatus();
  return Failed(object, field, -*result);
}

absl::Status AddressSpace::Empty() {
  std::vector<AddressRange> kept;
  for (const KernelMapping& move : vdso_->moves) {
    kept.push_back({move.to, move.to + move.from.size()});
  }
  for (const auto& [id, range] : sources_->shared) kept.push_back(range);
  std::ranges::sort(kept, {}, &AddressRange::start);
  const uint64_t end = DescribeHost().address_end;
  kept.push_back({end, end});
  uint64_t at = 0;
  for (const AddressRange& range : kept) {
    if (range.start > at) {
      const absl::StatusOr<long> result = builder_.Call(SYS_munmap, {at, range.start - at});
      if (absl::Status status = Check(mm(), "", result); !status.ok()) return status;
    }
    at = range.end;
  }
  kept.pop_back();
  for (const uint64_t vma : sources_->checkpoint.Owned("vma", id_)) {
    const ObjectView object = sources_->checkpoint.Get("vma", vma);
    kept.push_back({object.KeyNumber(), object.Number("end")});
  }
  const std::optional<uint64_t> gap = FindAddressGap(kScratchSize, kept);
  if (!gap.has_value()) return Failed(mm(), "", ENOMEM);
  const absl::StatusOr<long> scratch =
      builder_.Call(SYS_mmap, {*gap, kScratchSize, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~uint64_t{0}, 0});
  if (absl::Status status = Check(mm(), "", scratch); !status.ok()) return status;
  scratch_ = *gap;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> AddressSpace::Put(absl::string_view bytes) const {
  if (bytes.size() > (borrowed_.empty() ? kScratchSize : kPage))
    return absl::InternalError("more than calls have room for");
  if (absl::Status status = Write(scratch_, bytes); !status.ok()) return status;
  return scratch_;
}

absl::Status AddressSpace::Read(uint64_t address, std::span<char> bytes) const {
  const ssize_t got =
      ::pread(memory_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address));
  if (got == static_cast<ssize_t>(bytes.size())) return absl::OkStatus();
  return Failed(mm(), "", got < 0 ? errno : EIO);
}

absl::Status AddressSpace::Write(uint64_t address, absl::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t put =
        ::pwrite(memory_.get(), bytes.data(), bytes.size(), static_cast<off_t>(address));
    if (put <= 0) return Failed(mm(), "", put < 0 ? errno : EIO);
    address += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

// ---- mappings -----------------------------------------------------------------------------------

absl::Status AddressSpace::Map() {
  Seams seams;
  for (const uint64_t id : sources_->checkpoint.Owned("vma", id_)) {
    const ObjectView vma = sources_->checkpoint.Get("vma", id);
    const bool seam = seams.Next(vma);
    absl::Status status = IsSpecial(vma) ? MapVdso(vma) : MapOne(vma, seam);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// The code of another kernel's vdso becomes ordinary memory, and leads to this kernel's. Its data
// has no use.
absl::Status AddressSpace::MapVdso(const ObjectView& vma) {
  if (vma.Number("kind") == CRFS_vma_kind_vvar || !vdso_->patched.valid()) return absl::OkStatus();
  const uint64_t size = vma.Number("end") - vma.KeyNumber();
  const absl::StatusOr<long> at =
      builder_.Call(SYS_mmap, {vma.KeyNumber(), size, PROT_READ | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~uint64_t{0}, 0});
  if (absl::Status status = Check(vma, "", at); !status.ok()) return status;
  std::string code(size, '\0');
  if (::pread(vdso_->patched.get(), code.data(), code.size(), 0) < 0) {
    return Failed(vma, "pages", errno);
  }
  return Write(vma.KeyNumber(), code);
}

absl::StatusOr<long> AddressSpace::MapMemory(const ObjectView& vma, int prot) {
  const uint64_t size = vma.Number("end") - vma.KeyNumber();
  const uint64_t file = vma.Number("file"), shmem = vma.Number("shmem");
  if (file == 0 && shmem != 0) {
    const auto source = sources_->shared.find(shmem);
    if (source != sources_->shared.end()) return MapShared(vma, source->second, prot);
  }
  const int descriptor = file != 0    ? sources_->files.FileOf(file)
                         : shmem != 0 ? sources_->files.ShmemOf(shmem)
                                      : -1;
  const uint64_t flags = static_cast<uint64_t>(MapFlagsOf(vma)) | MAP_FIXED_NOREPLACE |
                         (descriptor < 0 ? MAP_ANONYMOUS : 0);
  return builder_.Call(SYS_mmap, {vma.KeyNumber(), size, static_cast<uint64_t>(prot), flags,
                                  static_cast<uint64_t>(static_cast<int64_t>(descriptor)),
                                  descriptor < 0 ? 0 : vma.Number("offset")});
}

// The same pages once more (mremap(2) with an old size of 0): no descriptor leads to them.
absl::StatusOr<long> AddressSpace::MapShared(const ObjectView& vma, const AddressRange& source,
                                             int prot) {
  const uint64_t size = vma.Number("end") - vma.KeyNumber(), offset = vma.Number("offset");
  if (offset > source.size() || size > source.size() - offset) return -EINVAL;
  const absl::StatusOr<long> at = builder_.Call(
      SYS_mremap, {source.start + offset, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, vma.KeyNumber()});
  if (!at.ok() || *at != static_cast<long>(vma.KeyNumber())) return at;
  return builder_.Call(SYS_mprotect, {vma.KeyNumber(), size, static_cast<uint64_t>(prot)});
}

absl::Status AddressSpace::MapOne(const ObjectView& vma, bool seam) {
  const absl::StatusOr<long> at = MapMemory(vma, FillProtection(vma));
  if (absl::Status status = Check(vma, "", at); !status.ok()) return status;
  if (absl::Status status = Advise(vma, seam); !status.ok()) return status;
  return SetName(vma);
}

absl::Status AddressSpace::Advise(const ObjectView& vma, bool seam) {
  const uint64_t size = vma.Number("end") - vma.KeyNumber();
  for (const Advice& advice : AdviceFor(vma, seam)) {
    const absl::StatusOr<long> result =
        builder_.Call(SYS_madvise, {vma.KeyNumber(), size, static_cast<uint64_t>(advice.number)});
    if (absl::Status status = Check(vma, "flags", result); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AddressSpace::SetName(const ObjectView& vma) {
  const absl::string_view name = vma.Bytes("name");
  const uint64_t kind = vma.Number("kind");
  if (name.empty() || kind == CRFS_vma_kind_file) return absl::OkStatus();
  const absl::StatusOr<uint64_t> text = Put(absl::StrCat(name, absl::string_view("\0", 1)));
  if (!text.ok()) return text.status();
  constexpr uint64_t kSetVma = 0x53564d41, kAnonymousName = 0;  // PR_SET_VMA_ANON_NAME
  return Check(vma, "name",
               builder_.Call(SYS_prctl, {kSetVma, kAnonymousName, vma.KeyNumber(),
                                         vma.Number("end") - vma.KeyNumber(), *text}));
}

absl::Status AddressSpace::Protect() {
  Seams seams;
  for (const uint64_t id : sources_->checkpoint.Owned("vma", id_)) {
    const ObjectView vma = sources_->checkpoint.Get("vma", id);
    const bool seam = seams.Next(vma);
    if (IsSpecial(vma)) continue;
    if (absl::Status status = ProtectOne(vma, seam); !status.ok()) return status;
  }
  for (const auto& [id, range] : sources_->shared) {
    const absl::StatusOr<long> result = builder_.Call(SYS_munmap, {range.start, range.size()});
    if (absl::Status status = Check(mm(), "", result); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status AddressSpace::ProtectOne(const ObjectView& vma, bool seam) {
  const uint64_t start = vma.KeyNumber(), size = vma.Number("end") - start;
  if (FillProtection(vma) != ProtectionOf(vma)) {
    const absl::StatusOr<long> result =
        builder_.Call(SYS_mprotect, {start, size, static_cast<uint64_t>(ProtectionOf(vma))});
    if (absl::Status status = Check(vma, "prot", result); !status.ok()) return status;
  }
  if (HasFlag(vma, CRFS_vma_flags_lo)) {
    const absl::StatusOr<long> result = builder_.Call(
        SYS_mlock2, {start, size, HasFlag(vma, CRFS_vma_flags_lf) ? uint64_t{MLOCK_ONFAULT} : 0});
    // It is locked, though there was nothing that may be read.
    const bool unreadable = result.ok() && *result == -ENOMEM && ProtectionOf(vma) == PROT_NONE;
    if (absl::Status status = Check(vma, "flags", result); !status.ok() && !unreadable) {
      return status;
    }
  }
  if (seam) {
    const absl::StatusOr<long> result = builder_.Call(
        SYS_madvise,
        {start, size,
         static_cast<uint64_t>(HasFlag(vma, CRFS_vma_flags_dd) ? MADV_DONTDUMP : MADV_DODUMP)});
    if (absl::Status status = Check(vma, "flags", result); !status.ok()) return status;
  }
  if (HasFlag(vma, CRFS_vma_flags_sl)) {
    constexpr long kMseal = 462;
    return Check(vma, "flags", builder_.Call(kMseal, {start, size, 0}));
  }
  return absl::OkStatus();
}

// ---- what is no mapping -------------------------------------------------------------------------

absl::Status AddressSpace::SetFields() {
  if (absl::Status status = SetExe(); !status.ok()) return status;
  constexpr uint64_t kSetThpDisable = 41;  // PR_SET_THP_DISABLE
  const absl::StatusOr<long> result =
      builder_.Call(SYS_prctl, {kSetThpDisable, mm().Number("thp_disable"), 0, 0, 0});
  if (absl::Status status = Check(mm(), "thp_disable", result); !status.ok()) return status;
  return SetFilter();
}

absl::Status AddressSpace::SetExe() {
  const ObjectView mm = this->mm();
  const absl::string_view auxv = mm.Bytes("auxv");
  struct {  // struct prctl_mm_map of <linux/prctl.h>
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end, auxv;
    uint32_t auxv_size, exe;
  } map = {.start_code = mm.Number("start_code"),
           .end_code = mm.Number("end_code"),
           .start_data = mm.Number("start_data"),
           .end_data = mm.Number("end_data"),
           .start_brk = mm.Number("start_brk"),
           .brk = mm.Number("brk"),
           .start_stack = mm.Number("start_stack"),
           .arg_start = mm.Number("arg_start"),
           .arg_end = mm.Number("arg_end"),
           .env_start = mm.Number("env_start"),
           .env_end = mm.Number("env_end"),
           .auxv = scratch_ + sizeof(map),
           .auxv_size = static_cast<uint32_t>(auxv.size()),
           .exe = static_cast<uint32_t>(sources_->files.FileOf(mm.Number("exe")))};
  std::string bytes(reinterpret_cast<const char*>(&map), sizeof(map));
  absl::StrAppend(&bytes, auxv);
  const absl::StatusOr<uint64_t> at = Put(bytes);
  if (!at.ok()) return at.status();
  constexpr uint64_t kSetMm = 35, kMap = 14;  // PR_SET_MM, PR_SET_MM_MAP
  return Check(mm, "exe", builder_.Call(SYS_prctl, {kSetMm, kMap, *at, sizeof(map), 0}));
}

absl::Status AddressSpace::SetFilter() {
  const std::string path = ProcPath(builder_.pid(), "coredump_filter");
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string text = absl::StrCat("0x", absl::Hex(mm().Number("coredump_filter")));
  if (file.valid() && ::write(file.get(), text.data(), text.size()) >= 0) return absl::OkStatus();
  return Failed(mm(), "coredump_filter", errno);
}

// One that is there already: else there would be one more than before. The kernel writes into
// restartable sequences whenever a thread has run.
uint64_t AddressSpace::FindPageToBorrow() const {
  std::set<uint64_t> taken;
  for (const uint64_t id : sources_->checkpoint.Ids("thread")) {
    taken.insert(sources_->checkpoint.Get("thread", id).Number("rseq_address") / kPage);
  }
  for (const uint64_t id : sources_->checkpoint.Owned("vma", id_)) {
    const ObjectView vma = sources_->checkpoint.Get("vma", id);
    if (IsSpecial(vma) || (ProtectionOf(vma) & PROT_WRITE) == 0) continue;
    const absl::StatusOr<LoadedMemory> memory = sources_->checkpoint.UnverifiedMemory(vma);
    if (!memory.ok()) return 0;
    for (const LoadedExtent& extent : memory->extents) {
      const uint64_t begin = vma.KeyNumber() + extent.offset;
      for (uint64_t at = begin; at < begin + extent.length; at += kPage) {
        if (!taken.contains(at / kPage) && !taken.contains(at / kPage - 1)) return at;
      }
    }
  }
  return 0;
}

absl::Status AddressSpace::BorrowPage() {
  scratch_ = FindPageToBorrow();
  if (scratch_ == 0) {
    return absl::UnimplementedError(
        absl::StrCat(sources_->checkpoint.Where(mm()),
                     ": has no writable memory, which the ptrace engine needs: use the kernel "
                     "engine (--engine kernel)"));
  }
  borrowed_.resize(kPage);
  return Read(scratch_, std::span(borrowed_.data(), borrowed_.size()));
}

absl::Status AddressSpace::Leave() {
  absl::StatusOr<long> result = builder_.Call(SYS_munmap, {scratch_, kScratchSize});
  if (absl::Status status = Check(mm(), "", result); !status.ok()) return status;
  const uint64_t later = mm().Number("def_flags");
  if ((later >> CRFS_vma_flags_lo & 1) != 0) {
    const bool on_fault = (later >> CRFS_vma_flags_lf & 1) != 0;
    result = builder_.Call(SYS_mlockall,
                           {static_cast<uint64_t>(MCL_FUTURE | (on_fault ? MCL_ONFAULT : 0))});
    if (absl::Status status = Check(mm(), "def_flags", result); !status.ok()) return status;
  }
  constexpr uint64_t kSetDumpable = 4;  // PR_SET_DUMPABLE
  result = builder_.Call(SYS_prctl, {kSetDumpable, mm().Number("dumpable"), 0, 0, 0});
  if (absl::Status status = Check(mm(), "dumpable", result); !status.ok()) return status;
  const pid_t pid = builder_.pid();
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  builder_.Release();
  return BorrowPage();
}

absl::Status AddressSpace::Close() { return Write(scratch_, borrowed_); }

}  // namespace crfs
