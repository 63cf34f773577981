// SPDX-License-Identifier: Apache-2.0
//
// The objects file, pipe and shmem of a checkpoint, each once.
//
// Whether two descriptors are one open file description is told by kcmp(2). What stands behind
// mappings need not be known (engine/mapped_files.h).

#ifndef CRFS_ENGINE_PTRACE_FILES_H_
#define CRFS_ENGINE_PTRACE_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ptrace_inode.h"
#include "engine/ptrace_kcmp.h"
#include "engine/snapshot.h"
#include "index/unique_fd.h"

namespace crfs {

// Like everything of this engine to be used by one thread. All tasks named are frozen.
class FileTable {
 public:
  explicit FileTable(Snapshot& snapshot);

  struct OpenDescriptor {
    int fd;
    DescribedFile file;
  };
  // What a task has open, ascending; read once for each task.
  absl::StatusOr<const std::vector<OpenDescriptor>*> Descriptors(pid_t pid);

  // The ids of objects, added if they are new.
  absl::StatusOr<uint64_t> Descriptor(pid_t pid, const OpenDescriptor& descriptor);
  // `cwd` or `root`.
  absl::StatusOr<uint64_t> Path(pid_t pid, absl::string_view name);

  // A mapping of a file, as a line of /proc/PID/maps tells of it.
  struct Mapping {
    uint64_t start, end;
    uint64_t dev, inode;
    std::string name;
  };
  struct MappedIds {
    uint64_t file = 0;   // 0: nameless shared memory
    uint64_t shmem = 0;  // 0: none
    crfs_file_kind kind = CRFS_file_kind_other;
  };
  absl::StatusOr<MappedIds> Mapped(pid_t pid, const Mapping& mapping);
  // The program's file; 0 if the task has none.
  absl::StatusOr<uint64_t> Program(pid_t pid);

  // Fills what only all descriptors together tell: the numbers of ends of pipes.
  absl::Status Finish();

  // Of a shmem object, to read from.
  int shmem(uint64_t id) const { return shmems_[id - 1].get(); }
  uint64_t shmem_count() const { return shmems_.size(); }

 private:
  // The device, inode and name of a file, and whether it is open to write.
  using MappingKey = std::tuple<uint64_t, uint64_t, std::string, bool>;
  using InodeKey = std::pair<uint64_t, uint64_t>;
  struct Pipe {
    uint64_t id;
    UniqueFd end;  // a copy of the first descriptor that was found
  };

  absl::StatusOr<uint64_t> Add(const DescribedFile& file, uint64_t pipe, uint64_t shmem,
                               int owner_signal, int owner_pid);
  absl::StatusOr<uint64_t> FindPipe(const DescribedFile& file, const UniqueFd& copy);
  absl::StatusOr<uint64_t> FindShmem(const DescribedFile& file, const std::string& link);
  absl::StatusOr<UniqueFd> Copy(pid_t pid, int fd);
  // A link of /proc that leads to a mapped file: that of a descriptor needs no privilege.
  std::string LinkTo(pid_t pid, const DescribedFile& file, const std::string& mapped);

  Snapshot& snapshot_;
  InodeReader inodes_;
  absl::flat_hash_map<pid_t, std::vector<OpenDescriptor>> open_;
  KcmpTable descriptions_{KCMP_FILE};
  std::map<MappingKey, MappedIds> mapped_;
  std::map<std::tuple<std::string, uint64_t, uint64_t>, uint64_t> paths_;
  std::map<InodeKey, Pipe> pipes_;
  std::map<InodeKey, uint64_t> shmem_ids_;
  std::vector<UniqueFd> shmems_;  // by id - 1
  pid_t process_pid_ = 0;         // of process_
  UniqueFd process_;              // pidfd_open(2)
};

}  // namespace crfs

#endif  // CRFS_ENGINE_PTRACE_FILES_H_
