// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_vma.h"

#include <sys/mman.h>

#include <cstdint>

namespace crfs {
namespace {

constexpr uint64_t kShared = 8;      // of a `prot` row
constexpr int kMapDroppable = 0x08;  // <linux/mman.h> of Linux 6.11

struct FlagAdvice {
  crfs_vma_flags flag;
  int advice;
};
constexpr FlagAdvice kAdvice[] = {
    {CRFS_vma_flags_sr, MADV_SEQUENTIAL}, {CRFS_vma_flags_rr, MADV_RANDOM},
    {CRFS_vma_flags_dc, MADV_DONTFORK},   {CRFS_vma_flags_wf, MADV_WIPEONFORK},
    {CRFS_vma_flags_hg, MADV_HUGEPAGE},   {CRFS_vma_flags_nh, MADV_NOHUGEPAGE},
    {CRFS_vma_flags_mg, MADV_MERGEABLE},
};

}  // namespace

bool IsSpecial(const ObjectView& vma) {
  const uint64_t kind = vma.Number("kind");
  return kind == CRFS_vma_kind_vdso || kind == CRFS_vma_kind_vvar;
}

int ProtectionOf(const ObjectView& vma) {
  const uint64_t prot = vma.Number("prot");
  return static_cast<int>(prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

int FillProtection(const ObjectView& vma) {
  const bool once_writable = HasFlag(vma, CRFS_vma_flags_ac) && (vma.Number("prot") & kShared) == 0;
  return ProtectionOf(vma) | (once_writable ? PROT_WRITE : 0);
}

int MapFlagsOf(const ObjectView& vma) {
  if (HasFlag(vma, CRFS_vma_flags_dp)) return kMapDroppable;
  return ((vma.Number("prot") & kShared) != 0 ? MAP_SHARED : MAP_PRIVATE) |
         (HasFlag(vma, CRFS_vma_flags_gd) ? MAP_GROWSDOWN : 0) |
         (HasFlag(vma, CRFS_vma_flags_nr) ? MAP_NORESERVE : 0);
}

bool Seams::Next(const ObjectView& vma) {
  const bool dd = HasFlag(vma, CRFS_vma_flags_dd);
  const bool seam = end_ == vma.KeyNumber() && dd == dd_ && !HasFlag(vma, CRFS_vma_flags_dp);
  end_ = vma.Number("end");
  dd_ = dd != seam;
  return seam;
}

std::vector<Advice> AdviceFor(const ObjectView& vma, bool seam) {
  std::vector<Advice> advice;
  const bool droppable = HasFlag(vma, CRFS_vma_flags_dp);  // has these by itself
  for (const FlagAdvice& entry : kAdvice) {
    if (droppable && entry.flag == CRFS_vma_flags_wf) continue;
    if (HasFlag(vma, entry.flag)) advice.push_back({entry.advice});
  }
  if (HasFlag(vma, CRFS_vma_flags_dd) != seam && !droppable) advice.push_back({MADV_DONTDUMP});
  return advice;
}

}  // namespace crfs
