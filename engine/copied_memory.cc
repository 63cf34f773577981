// SPDX-License-Identifier: Apache-2.0

#include "engine/copied_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

absl::StatusOr<UniqueFd> NamelessFile(const std::string& folder) {
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  std::string path =
      absl::StrCat(folder, "/.crfs-memory-XXXXXX");  // not every file system has those
  file.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!file.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat(folder, ": no file for shared memory"));
  }
  ::unlink(path.c_str());
  return file;
}

std::string FolderFor(const std::string& image, bool stream) {
  if (stream) {
    const char* place = std::getenv("TMPDIR");
    return place != nullptr ? place : "/var/tmp";
  }
  const size_t slash = image.rfind('/');
  if (slash == std::string::npos) return ".";
  return image.substr(0, std::max<size_t>(slash, 1));
}

// Whether a copy by fork(2) has the memory of that extent.
bool ForkCopies(const Snapshot& snapshot, const OwnedExtent& owned) {
  if (owned.owner_type != CRFS_TAG_vma) return false;
  const uint64_t flags = snapshot.Get("vma", owned.owner_id).Number("flags");
  constexpr uint64_t kNot = uint64_t{1} << CRFS_vma_flags_dc | uint64_t{1} << CRFS_vma_flags_wf;
  return (flags & kNot) == 0;
}

}  // namespace

absl::Status CopyMemory(const Snapshot& snapshot, FrozenTasks& frozen, const std::string& image,
                        bool stream, MemorySource& memory) {
  const auto not_copied = [&](const OwnedExtent& owned) { return !ForkCopies(snapshot, owned); };
  const std::vector<OwnedExtent>& extents = snapshot.extents();
  if (std::any_of(extents.begin(), extents.end(), not_copied)) {
    absl::StatusOr<UniqueFd> file = NamelessFile(FolderFor(image, stream));
    if (!file.ok()) return file.status();
    if (absl::Status status = memory.Keep(snapshot, not_copied, *std::move(file)); !status.ok()) {
      return status;
    }
  }
  if (absl::Status status = frozen.CopyMemory(snapshot); !status.ok()) return status;
  return memory.ReopenAddressSpaces(
      [&frozen](uint32_t type, uint64_t id) { return frozen.OpenMemory(type, id); });
}

}  // namespace crfs
