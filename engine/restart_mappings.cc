// SPDX-License-Identifier: Apache-2.0
//
// Mappings that no restart can make. The module refuses them too (kmod/restart_values.c), with a
// number.

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "engine/restart_check.h"
#include "index/ranges.h"

namespace crfs {
namespace {

constexpr uint64_t Bit(unsigned bit) { return uint64_t{1} << bit; }

// Flags that no mapping has together, and those that come with others only.
struct Discord {
  uint64_t all;   // has these,
  uint64_t any;   // and one of these,
  uint64_t lack;  // and not all of these
};

constexpr Discord kDiscords[] = {
    {Bit(CRFS_vma_flags_hg), Bit(CRFS_vma_flags_nh), 0},
    {Bit(CRFS_vma_flags_sr), Bit(CRFS_vma_flags_rr), 0},
    {Bit(CRFS_vma_flags_mg), Bit(CRFS_vma_flags_sh) | Bit(CRFS_vma_flags_ms), 0},
    {Bit(CRFS_vma_flags_lf), 0, Bit(CRFS_vma_flags_lo)},
    {Bit(CRFS_vma_flags_dp), 0, Bit(CRFS_vma_flags_wf) | Bit(CRFS_vma_flags_dd)},
};

class MappingChecker {
 public:
  explicit MappingChecker(const RestartCheck& check) : check_(check) {}

  void Check() {
    for (const uint64_t id : check_.checkpoint.Ids("vma")) {
      CheckVma(check_.checkpoint.Get("vma", id));
    }
    for (const uint64_t id : check_.checkpoint.Ids("task")) {
      const ObjectView task = check_.checkpoint.Get("task", id);
      if (task.Number("state") != CRFS_state_zombie) CheckHeap(task);
    }
  }

 private:
  void CheckVma(const ObjectView& vma) {
    const std::string path = check_.checkpoint.Where(vma);
    const uint64_t kind = vma.Number("kind"), prot = vma.Number("prot"), flags = Flags(vma);
    CheckExcluded(vma);
    if (vma.Number("end") > check_.machine.address_end) {
      check_.Add(path, "lies beyond the memory that a program has on this machine",
                 "restart it on one with page tables of five levels");
    }
    if (const uint64_t shown = FlagsOf(prot); (flags & kShownFlags) != shown) {
      check_.Add(vma, "prot",
                 absl::StrCat("is ", ShownValue(vma, "prot"), ", and flags say ",
                              ShownValue(vma, "flags")),
                 "change `rd wr ex ms` of flags with it");
    }
    const bool backed = vma.Number("file") != 0 || vma.Number("shmem") != 0;
    switch (kind) {
      case CRFS_vma_kind_vdso:
      case CRFS_vma_kind_vvar:
        if (backed) check_.Add(vma, "file", "is of a mapping of the kernel's own", "delete it");
        return;
      case CRFS_vma_kind_anon:
      case CRFS_vma_kind_heap:
      case CRFS_vma_kind_stack:
        if (backed) {
          check_.Add(vma, "file", absl::StrCat("is of a mapping of kind ", ShownValue(vma, "kind")),
                     "delete it");
        }
        if (prot & kShared) {
          check_.Add(
              vma, "prot",
              absl::StrCat("is ", ShownValue(vma, "prot"), ", and memory of this kind is private"),
              "write p in place of s");
        }
        return CheckFlags(vma, kRefused);
      case CRFS_vma_kind_file:
      case CRFS_vma_kind_shmem:
        if (!backed) {
          check_.Add(path, "maps nothing", "make `file` in it a link to objects/file/ID");
        }
        return CheckFlags(vma, kRefused | Bit(CRFS_vma_flags_gd) | Bit(CRFS_vma_flags_wf) |
                                   Bit(CRFS_vma_flags_dp));
      default:
        check_.Add(vma, "kind",
                   absl::StrCat("is ", ShownValue(vma, "kind"), ", a mapping that only the kernel ",
                                "can make"),
                   absl::StrCat("delete ", path));
    }
  }

  // That it is a list of ranges is told when the checkpoint is read.
  void CheckExcluded(const ObjectView& vma) {
    const auto ranges = UnpackRanges(vma.Bytes("excluded"));
    if (!ranges.ok() || ranges->empty()) return;
    const crfs_extent& last = ranges->back();
    if (last.offset + last.length > vma.Number("end") - vma.Number("start")) {
      check_.Add(vma, "excluded", "goes beyond the end of the mapping", "take that out");
    }
    if ((vma.Number("prot") & kShared) != 0) {
      check_.Add(vma, "excluded", "is of shared memory, which is not left out", "empty it");
    }
  }

  static constexpr uint64_t kShared = 8;
  static constexpr uint64_t kShownFlags = Bit(CRFS_vma_flags_rd) | Bit(CRFS_vma_flags_wr) |
                                          Bit(CRFS_vma_flags_ex) | Bit(CRFS_vma_flags_ms);
  // As in kmod/restart_values.c.
  static constexpr uint64_t kRefused =
      Bit(CRFS_vma_flags_ht) | Bit(CRFS_vma_flags_sf) | Bit(CRFS_vma_flags_um) |
      Bit(CRFS_vma_flags_uw) | Bit(CRFS_vma_flags_ui) | Bit(CRFS_vma_flags_ss) |
      Bit(CRFS_vma_flags_pf) | Bit(CRFS_vma_flags_io) | Bit(CRFS_vma_flags_mm);

  static uint64_t Flags(const ObjectView& vma) { return vma.Number("flags"); }
  static uint64_t FlagsOf(uint64_t prot) {
    return (prot & 1 ? Bit(CRFS_vma_flags_rd) : 0) | (prot & 2 ? Bit(CRFS_vma_flags_wr) : 0) |
           (prot & 4 ? Bit(CRFS_vma_flags_ex) : 0) | (prot & kShared ? Bit(CRFS_vma_flags_ms) : 0);
  }

  void CheckFlags(const ObjectView& vma, uint64_t refused) {
    for (const Word& word : vma.type().Find("flags")->words) {
      if ((Flags(vma) & refused & Bit(word.value)) == 0) continue;
      check_.Add(vma, "flags", absl::StrCat("has ", word.name, ", which no restart can give it"),
                 "take it out");
    }
    for (const Discord& discord : kDiscords) {
      if ((Flags(vma) & discord.all) == 0) continue;
      if (discord.any != 0 ? (Flags(vma) & discord.any) == 0
                           : (Flags(vma) & discord.lack) == discord.lack) {
        continue;
      }
      check_.Add(vma, "flags",
                 absl::StrCat("is ", ShownValue(vma, "flags"), ", and ",
                              ShownBits(*vma.type().Find("flags"), discord.all),
                              discord.any != 0 ? " excludes " : " needs ",
                              ShownBits(*vma.type().Find("flags"), discord.any | discord.lack)),
                 "write the flags that were saved");
    }
    CheckName(vma);
    CheckSince(vma, CRFS_vma_flags_sl, 610);
    CheckSince(vma, CRFS_vma_flags_dp, 611);
  }

  // As prctl(PR_SET_VMA_ANON_NAME): it is shown in /proc/PID/maps.
  void CheckName(const ObjectView& vma) {
    constexpr size_t kLongest = 79;
    const absl::string_view name = vma.Bytes("name");
    const bool is_plain = std::all_of(name.begin(), name.end(), [](char letter) {
      return letter > 0x1f && letter < 0x7f && !absl::StrContains("\\`$[]", std::string(1, letter));
    });
    if (is_plain && name.size() <= kLongest) return;
    check_.Add(vma, "name", absl::StrCat("is ", ShownValue(vma, "name"), ", which is no name"),
               "write at most 79 printable letters, none of \\ ` $ [ ]");
  }

  // Flags that older kernels do not have; `kernel` as in Machine.
  void CheckSince(const ObjectView& vma, unsigned flag, unsigned kernel) {
    if ((Flags(vma) & Bit(flag)) == 0 || check_.machine.kernel >= kernel) return;
    check_.Add(vma, "flags",
               absl::StrCat("is ", ShownValue(vma, "flags"), ", which needs Linux ", kernel / 100,
                            ".", kernel % 100),
               "restart it on such a kernel");
  }

  // As brk(2) counts them.
  void CheckHeap(const ObjectView& task) {
    const ObjectView mm = check_.checkpoint.Get("mm", task.Number("mm"));
    const uint64_t heap = mm.Number("brk") - mm.Number("start_brk");
    const uint64_t data = mm.Number("end_data") - mm.Number("start_data");
    if (mm.Number("brk") < mm.Number("start_brk") || heap + data < heap) return;  // told elsewhere
    const uint64_t size = heap + data;
    if (size > task.Number("rlimit_data_soft")) {
      check_.Add(task, "rlimit_data_soft",
                 absl::StrCat("is ", ShownValue(task, "rlimit_data_soft"),
                              ", and the program's data and heap have ", size, " bytes"),
                 "write as much");
    }
  }

  const RestartCheck& check_;
};

}  // namespace

void CheckMappings(const RestartCheck& check) { MappingChecker(check).Check(); }

}  // namespace crfs
