// SPDX-License-Identifier: Apache-2.0
//
// How calls of user space bring about what a mapping was.

#ifndef CRFS_ENGINE_PTRACE_VMA_H_
#define CRFS_ENGINE_PTRACE_VMA_H_

#include <cstdint>
#include <vector>

#include "crfs/words.h"
#include "index/record.h"

namespace crfs {

inline bool HasFlag(const ObjectView& vma, crfs_vma_flags flag) {
  return (vma.Number("flags") >> flag & 1) != 0;
}

// The kernel's own: [vdso], [vvar].
bool IsSpecial(const ObjectView& vma);

// PROT_*.
int ProtectionOf(const ObjectView& vma);
// While its memory is put in place. Memory that counts against the commit limit though it cannot be
// written could be once, and is so again.
int FillProtection(const ObjectView& vma);

// MAP_* for mmap(2), without MAP_ANONYMOUS.
int MapFlagsOf(const ObjectView& vma);

// Two neighbours may become one as soon as they are mapped. So that they do not, one of them has a
// seam while they are made and filled: the flag `dd` if it is to lack it, none if it is to have it.
class Seams {
 public:
  // Whether the next mapping, by ascending address, has one.
  bool Next(const ObjectView& vma);

 private:
  uint64_t end_ = 0;  // of the last one
  bool dd_ = false;   // what it has meanwhile
};

struct Advice {
  int number;  // MADV_*
};
// For madvise(2), once it is mapped.
std::vector<Advice> AdviceFor(const ObjectView& vma, bool seam);

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_VMA_H_
