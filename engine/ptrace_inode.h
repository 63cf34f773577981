// SPDX-License-Identifier: Apache-2.0
//
// What stands behind a link of /proc (a descriptor, a mapping, a cwd): what it is and the rows of
// `file` that its inode tells.

#ifndef CRFS_ENGINE_PTRACE_INODE_H_
#define CRFS_ENGINE_PTRACE_INODE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crfs/words.h"
#include "index/record.h"

namespace crfs {

// The rows of a file object that no reference is in. Devices are major << 32 | minor.
struct DescribedFile {
  crfs_file_kind kind = CRFS_file_kind_other;
  uint32_t flags = 0;  // of open(2), without O_CLOEXEC
  int64_t pos = 0;
  bool cloexec = false;  // of the descriptor
  std::string path;      // without ` (deleted)`
  std::string link;      // as /proc shows it
  uint32_t mode = 0;
  bool deleted = false;
  uint32_t nlink = 0;
  uint64_t dev = 0;  // as /proc/PID/maps has it
  uint64_t inode = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;  // 0 but for regular files
  int64_t mtime = 0;  // likewise

  void Fill(ObjectBuilder& file) const;
};

// The text of a link; NOT_FOUND if it is gone.
absl::StatusOr<std::string> ReadLink(const std::string& path);

// Whether the file of a link in a folder map_files is open to write.
bool IsOpenToWrite(const std::string& link);

// A device as the rows have it.
uint64_t DeviceNumber(uint64_t major, uint64_t minor);

class InodeReader {
 public:
  InodeReader();

  // Descriptor `fd` of a task.
  absl::StatusOr<DescribedFile> Descriptor(pid_t pid, int fd);
  // `exe`, `cwd` or `root`, as a bare path.
  absl::StatusOr<DescribedFile> Link(pid_t pid, absl::string_view name);
  // A mapping whose line of /proc/PID/maps has this device, inode and name. Following its link,
  // /proc/PID/map_files/..., takes CAP_CHECKPOINT_RESTORE; without it the file is looked for by its
  // name, and of one that is not there little is known.
  absl::StatusOr<DescribedFile> Mapping(pid_t pid, const std::string& link, uint64_t dev,
                                        uint64_t inode, absl::string_view name);

 private:
  struct Mount {
    uint64_t dev;
    std::string type;
  };
  using Mounts = absl::flat_hash_map<uint64_t, Mount>;

  absl::StatusOr<const Mounts*> MountsOf(pid_t pid);
  // Fills what statx(2) of a link tells, and the kind.
  absl::Status Stat(pid_t pid, const std::string& link, DescribedFile& file);
  void NoteDeleted(pid_t pid, DescribedFile& file) const;
  crfs_file_kind KindOf(const DescribedFile& file, uint64_t own_dev, absl::string_view type) const;
  bool IsTerminal(uint64_t rdev) const;

  struct Drivers {
    uint64_t major, first, last;
  };
  uint64_t shmem_dev_ = 0;                // of the kernel's own mount of shmem
  uint64_t ns_dev_ = 0;                   // of nsfs
  std::vector<Drivers> drivers_;          // of terminals
  std::map<std::string, Mounts> mounts_;  // by mount namespace, as /proc/PID/ns/mnt names it
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_INODE_H_
