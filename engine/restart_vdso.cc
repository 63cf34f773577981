// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_vdso.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "crfs/words.h"
#include "engine/own_mappings.h"

namespace crfs {
namespace {

constexpr uint64_t kVdsoMax = 1 << 20;

// movabs $address, %rax; jmp *%rax: at the entry of a function nobody needs %rax.
constexpr size_t kJumpSize = 12;
void WriteJump(char* at, uint64_t address) {
  const unsigned char head[] = {0x48, 0xb8}, tail[] = {0xff, 0xe0};
  std::memcpy(at, head, 2);
  std::memcpy(at + 2, &address, sizeof(address));
  std::memcpy(at + 10, tail, 2);
}

template <typename T>
std::optional<T> Load(absl::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

struct Function {
  uint64_t offset;
  uint64_t size;
};

// The functions of a shared object in memory, by name: those of its table of symbols.
absl::StatusOr<std::map<std::string, Function>> FunctionsOf(absl::string_view image) {
  const absl::Status no_elf = absl::InvalidArgumentError("is no shared object (elf(5))");
  const auto header = Load<Elf64_Ehdr>(image, 0);
  if (!header.has_value() || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64) {
    return no_elf;
  }
  std::optional<uint64_t> bias, dynamic;
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    const auto part = Load<Elf64_Phdr>(image, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!part.has_value()) return no_elf;
    if (part->p_type == PT_LOAD && !bias.has_value()) bias = part->p_vaddr - part->p_offset;
    if (part->p_type == PT_DYNAMIC) dynamic = part->p_offset;
  }
  if (!bias.has_value() || !dynamic.has_value()) return no_elf;
  uint64_t symbols = 0, strings = 0, hash = 0;
  for (uint64_t at = *dynamic;; at += sizeof(Elf64_Dyn)) {
    const auto entry = Load<Elf64_Dyn>(image, at);
    if (!entry.has_value()) return no_elf;
    if (entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_SYMTAB) symbols = entry->d_un.d_ptr - *bias;
    if (entry->d_tag == DT_STRTAB) strings = entry->d_un.d_ptr - *bias;
    if (entry->d_tag == DT_HASH) hash = entry->d_un.d_ptr - *bias;
  }
  // The symbols end where their strings begin, or as a hash table tells.
  uint64_t count = strings > symbols ? (strings - symbols) / sizeof(Elf64_Sym) : 0;
  if (hash != 0) {
    const auto chains = Load<uint32_t>(image, hash + sizeof(uint32_t));
    if (chains.has_value()) count = *chains;
  }
  std::map<std::string, Function> functions;
  for (uint64_t i = 0; i < std::min<uint64_t>(count, 1024); ++i) {
    const auto symbol = Load<Elf64_Sym>(image, symbols + i * sizeof(Elf64_Sym));
    if (!symbol.has_value()) return no_elf;
    if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) continue;
    const uint64_t name = strings + symbol->st_name;
    if (name >= image.size()) return no_elf;
    const absl::string_view rest = image.substr(name);
    const size_t end = rest.find('\0');
    if (end == absl::string_view::npos) return no_elf;
    functions[std::string(rest.substr(0, end))] = {symbol->st_value - *bias, symbol->st_size};
  }
  return functions;
}

class Planner {
 public:
  Planner(const LoadedCheckpoint& checkpoint, const ObjectView& mm)
      : checkpoint_(checkpoint), mm_(mm) {}

  absl::StatusOr<VdsoPlan> Plan() {
    auto mappings = OwnMappings();
    if (!mappings.ok()) return mappings.status();
    for (const auto& [name, range] : *mappings)
      (IsKernelMapping(name) ? kernels_ : others_).push_back(range);
    if (kernels_.empty()) return VdsoPlan();  // vdso=0 on the kernel's command line
    for (const auto& [name, range] : *mappings) {
      if (name == "[vdso]") own_ = range;
    }
    for (const uint64_t id : checkpoint_.Owned("vma", mm_.id())) {
      const ObjectView vma = checkpoint_.Get("vma", id);
      const AddressRange range = {vma.Number("start"), vma.Number("end")};
      if (vma.Number("kind") == CRFS_vma_kind_vdso) {
        vdso_ = id;
        saved_ = range;
      }
      all_saved_.push_back(range);
    }
    return vdso_ == 0 ? Aside() : InPlace();
  }

 private:
  absl::StatusOr<VdsoPlan> InPlace() {
    const ObjectView vma = checkpoint_.Get("vma", vdso_);
    absl::StatusOr<std::string> bytes = SavedBytes(vma);
    if (!bytes.ok()) return bytes.status();
    const absl::string_view own(reinterpret_cast<const char*>(own_.start), own_.size());
    if (*bytes == own) return MoveTo(kernels_.front().start + (saved_.start - own_.start));
    absl::StatusOr<VdsoPlan> plan = Aside();
    if (!plan.ok()) return plan.status();
    const uint64_t own_address = plan->moves.front().to + (own_.start - kernels_.front().start);
    absl::StatusOr<std::string> joined = JoinVdso(*bytes, own, own_address);
    const std::string where = checkpoint_.Where(vma, "pages");
    if (!joined.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          where, ": ", joined.status().message(), ": it cannot be joined to this kernel's vdso"));
    }
    if (absl::Status status = CheckThreads(); !status.ok()) return status;
    plan->patched.reset(::memfd_create("vdso", MFD_CLOEXEC));
    if (!plan->patched.valid() || ::write(plan->patched.get(), joined->data(), joined->size()) !=
                                      static_cast<ssize_t>(joined->size())) {
      return absl::ErrnoToStatus(errno, absl::StrCat(where, ": cannot be kept in memory"));
    }
    return plan;
  }

  // All of them together, as they stand, to a new place of the first one.
  absl::StatusOr<VdsoPlan> MoveTo(uint64_t to) {
    VdsoPlan plan;
    const uint64_t from = kernels_.front().start;
    for (const AddressRange& mapping : kernels_) {
      const AddressRange target = {mapping.start - from + to, mapping.end - from + to};
      for (const AddressRange& other : others_) {
        if (!Overlaps(target, other)) continue;
        return absl::UnavailableError(
            absl::StrCat(checkpoint_.Where(mm_, "vdso"),
                         ": lies where crfs itself has its memory this time: try again"));
      }
      plan.moves.push_back({mapping, target.start});
    }
    plan.own = own_.start - from + to;
    // Upwards, the last goes first, so that none is put over another.
    if (to > from) std::ranges::reverse(plan.moves);
    return plan;
  }

  // To where neither the restarted program nor crfs has anything.
  absl::StatusOr<VdsoPlan> Aside() {
    const uint64_t size = kernels_.back().end - kernels_.front().start;
    std::vector<AddressRange> taken = all_saved_;
    taken.insert(taken.end(), others_.begin(), others_.end());
    taken.insert(taken.end(), kernels_.begin(), kernels_.end());
    if (const std::optional<uint64_t> to = FindAddressGap(size, taken); to.has_value()) {
      absl::StatusOr<VdsoPlan> plan = MoveTo(*to);
      if (plan.ok()) std::ranges::sort(plan->moves, {}, &KernelMapping::to);
      return plan;
    }
    return absl::ResourceExhaustedError(
        absl::StrCat(checkpoint_.Where(mm_), ": has no room for this kernel's vdso"));
  }

  absl::StatusOr<std::string> SavedBytes(const ObjectView& vma) const {
    const std::string where = checkpoint_.Where(vma, "pages");
    if (saved_.size() > kVdsoMax) {
      return absl::FailedPreconditionError(absl::StrCat(where, ": is too long for a vdso"));
    }
    std::string bytes(saved_.size(), '\0');
    const absl::StatusOr<LoadedMemory> memory = checkpoint_.Memory(vma);
    if (!memory.ok()) return memory.status();
    for (const LoadedExtent& extent : memory->extents) {
      if (::pread(memory->fd, bytes.data() + extent.offset, extent.length,
                  static_cast<off_t>(extent.file_offset)) < 0) {
        return absl::ErrnoToStatus(errno, absl::StrCat(where, ": cannot be read"));
      }
    }
    return bytes;
  }

  // The rest of a function that has been begun would look for its data where it is no more.
  absl::Status CheckThreads() const {
    for (const uint64_t id : checkpoint_.Ids("thread")) {
      const ObjectView thread = checkpoint_.Get("thread", id);
      const ObjectView task = checkpoint_.Get("task", thread.OwnerId());
      const uint64_t rip = thread.Number("rip");
      if (task.Number("mm") != mm_.id() || rip < saved_.start || rip >= saved_.end) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          checkpoint_.Where(thread, "rip"),
          ": is within the vdso, and this kernel has another one: restart it on the kernel that "
          "it was saved on"));
    }
    return absl::OkStatus();
  }

  const LoadedCheckpoint& checkpoint_;
  const ObjectView mm_;
  std::vector<AddressRange> kernels_;  // ascending
  std::vector<AddressRange> others_;
  AddressRange own_;
  uint64_t vdso_ = 0;  // id of its vma
  AddressRange saved_;
  std::vector<AddressRange> all_saved_;
};

}  // namespace

absl::StatusOr<std::string> JoinVdso(absl::string_view saved, absl::string_view own,
                                     uint64_t own_address) {
  const auto old_functions = FunctionsOf(saved);
  if (!old_functions.ok()) return old_functions.status();
  const auto own_functions = FunctionsOf(own);
  if (!own_functions.ok()) return own_functions.status();
  std::string joined(saved);
  for (const auto& [name, function] : *old_functions) {
    const auto target = own_functions->find(name);
    if (target == own_functions->end()) {
      return absl::InvalidArgumentError(absl::StrCat("has a function ", name, " of its own"));
    }
    if (function.offset > joined.size() || joined.size() - function.offset < kJumpSize ||
        function.size < kJumpSize) {
      return absl::InvalidArgumentError(absl::StrCat("has no room in its function ", name));
    }
    WriteJump(joined.data() + function.offset, own_address + target->second.offset);
  }
  return joined;
}

absl::StatusOr<VdsoPlan> PlanVdso(const LoadedCheckpoint& checkpoint, const ObjectView& mm) {
  return Planner(checkpoint, mm).Plan();
}

}  // namespace crfs
