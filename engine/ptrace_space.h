// SPDX-License-Identifier: Apache-2.0
//
// An address space that is emptied and made anew by calls of a process in it, its builder, which
// has the caller's rights and no code of its own. Nothing of that process stays there.

#ifndef CRFS_ENGINE_PTRACE_SPACE_H_
#define CRFS_ENGINE_PTRACE_SPACE_H_

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/address_gap.h"
#include "engine/ptrace_puppet.h"
#include "engine/reopen_files.h"
#include "engine/restart_vdso.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {

// Shared memory without a name, by id of the shmem: mapped in crfs, inherited by every task, and
// outside all that any saved address space has.
using SharedMemories = absl::flat_hash_map<uint64_t, AddressRange>;

// What all address spaces of a restart are made from.
struct SpaceSources {
  const LoadedCheckpoint& checkpoint;
  const ReopenedFiles& files;  // descriptors that builders have, too
  const SharedMemories& shared;
  absl::flat_hash_map<int, int> images;  // of the checkpoint's descriptors: what builders have
};

// Messages name the file of the tree at fault.
class AddressSpace {
 public:
  // `builder` is a process in the space of the mm `id`; all must outlive this.
  static absl::StatusOr<AddressSpace> Open(const SpaceSources& sources, uint64_t id,
                                           const VdsoPlan& vdso, Puppet builder);

  // In this order: nothing is left but the kernel's own mappings; all is mapped, filled, and has
  // its rights; what is known of the space besides its mappings is set.
  absl::Status Empty();
  absl::Status Map();
  absl::Status Fill();
  absl::Status Protect();
  absl::Status SetFields();
  // The last of the builder, which is gone then, but for its parent to wait for it.
  absl::Status Leave();
  // When no call needs Put any more.
  absl::Status Close();

  // Copies bytes to where calls may find them, and returns the address: of the builder's own memory
  // or, once that is gone, of a page of the program's, which Close puts back. The last bytes that
  // were put there are overwritten. At most kScratchSize bytes, and a page once the builder is
  // gone.
  absl::StatusOr<uint64_t> Put(absl::string_view bytes) const;
  template <typename T>
  absl::StatusOr<uint64_t> PutValue(const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    return Put(absl::string_view(reinterpret_cast<const char*>(&value), sizeof(value)));
  }
  // Reads or writes its memory, whatever its protection is.
  absl::Status Read(uint64_t address, std::span<char> bytes) const;
  absl::Status Write(uint64_t address, absl::string_view bytes) const;

  static constexpr uint64_t kScratchSize = 64 << 10;

 private:
  AddressSpace(const SpaceSources& sources, uint64_t id, const VdsoPlan& vdso, Puppet builder,
               UniqueFd memory)
      : sources_(&sources),
        id_(id),
        vdso_(&vdso),
        builder_(std::move(builder)),
        memory_(std::move(memory)) {}

  ObjectView mm() const { return sources_->checkpoint.Get("mm", id_); }
  absl::Status BorrowPage();
  uint64_t FindPageToBorrow() const;
  absl::Status MapOne(const ObjectView& vma, bool seam);
  absl::StatusOr<long> MapMemory(const ObjectView& vma, int prot);
  absl::StatusOr<long> MapShared(const ObjectView& vma, const AddressRange& source, int prot);
  absl::Status MapVdso(const ObjectView& vma);
  absl::Status Advise(const ObjectView& vma, bool seam);
  absl::Status SetName(const ObjectView& vma);
  absl::Status ProtectOne(const ObjectView& vma, bool seam);
  absl::Status FillOne(const ObjectView& vma);
  absl::Status ReadInto(const ObjectView& vma, int descriptor, std::span<const LoadedExtent> all);
  absl::Status Zero(const ObjectView& vma, const LoadedMemory& memory);
  absl::Status CopyInto(const ObjectView& vma, int descriptor, const LoadedExtent& extent);
  absl::Status SetExe();
  absl::Status SetFilter();
  absl::Status Failed(const ObjectView& object, absl::string_view field, long error) const;
  absl::Status Check(const ObjectView& object, absl::string_view field,
                     const absl::StatusOr<long>& result) const;

  const SpaceSources* sources_;
  uint64_t id_;
  const VdsoPlan* vdso_;
  Puppet builder_;
  UniqueFd memory_;  // /proc/PID/mem
  uint64_t scratch_ = 0;
  std::string borrowed_;  // what the page at scratch_ holds, once the builder is gone
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_SPACE_H_
