// SPDX-License-Identifier: Apache-2.0
//
// The open files of a checkpoint, opened again: each once, in the coordinator, before tasks are
// made, so that all who share one get the same. Not for use by several threads at once.

#ifndef CRFS_ENGINE_REOPEN_FILES_H_
#define CRFS_ENGINE_REOPEN_FILES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/restart.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {

class ReopenedFiles {
 public:
  explicit ReopenedFiles(const LoadedCheckpoint& checkpoint) : checkpoint_(checkpoint) {}

  // Opens what descriptors, directories, mappings and programs need. Errors name the file of
  // the tree.
  absl::Status Open(const RestartOptions& options);

  // Of `file` and `shmem` objects; -1 if nothing refers to them. Close-on-exec, all of them at
  // floor() or above.
  int FileOf(uint64_t id) const { return Find(files_, id); }
  int ShmemOf(uint64_t id) const { return Find(shmems_, id); }
  // Whether a `fd` object gets none: it is excluded, and nothing is given in its place.
  bool IsClosed(const ObjectView& fd) const;
  // Which descriptor a `fd` object gets that is not closed.
  int DescriptorOf(const ObjectView& fd) const;
  // Above all descriptors that tasks have.
  int floor() const { return floor_; }

  // Puts in a descriptor made elsewhere, for a shmem that has no name.
  absl::Status AddShmem(uint64_t id, UniqueFd fd);
  // The shared memories that only the engine can make: no file, no memfd.
  const std::vector<uint64_t>& nameless_shmems() const { return nameless_; }

  // Writes what the checkpoint saved of every shared memory. Then, when it has been mapped, its
  // seals.
  absl::Status FillShmems() const;
  absl::Status SealShmems() const;

 private:
  using Descriptors = std::map<uint64_t, UniqueFd>;
  struct PipeEnd {
    UniqueFd fd;
    bool given = false;  // the description that pipe(2) made is some file's
  };
  struct Pipe {
    PipeEnd reader, writer;
  };
  static int Find(const Descriptors& all, uint64_t id) {
    const auto found = all.find(id);
    return found == all.end() ? -1 : found->second.get();
  }

  // Whether one of the files that are used is of this pipe or shmem, by the name of its row.
  bool IsOfUsedFile(absl::string_view field, uint64_t id) const;
  absl::Status FindFloor(const RestartOptions& options);
  absl::Status TakeGiven(const RestartOptions& options);
  absl::Status OpenPipes();
  absl::Status OpenShmems();
  absl::Status OpenFile(const ObjectView& file);
  absl::StatusOr<UniqueFd> OpenKind(const ObjectView& file);
  absl::StatusOr<UniqueFd> OpenPath(const ObjectView& file, int flags);
  absl::StatusOr<UniqueFd> OpenTerminal(const ObjectView& file, int flags);
  absl::Status OpenPipe(const ObjectView& pipe);
  absl::StatusOr<UniqueFd> OpenEnd(const ObjectView& file, int flags);
  absl::Status FillPipe(const ObjectView& pipe, int writer);
  absl::StatusOr<UniqueFd> Raise(UniqueFd fd) const;
  absl::StatusOr<UniqueFd> Duplicate(int fd) const;
  absl::Status Failed(const ObjectView& object, absl::string_view field, int error) const;

  const LoadedCheckpoint& checkpoint_;
  int floor_ = 0;
  std::set<uint64_t> used_;  // ids of files, as FilesInUse says
  Descriptors files_;
  Descriptors shmems_;
  std::map<uint64_t, UniqueFd> inherited_;  // by id of the fd object
  std::vector<uint64_t> nameless_;
  std::map<uint64_t, Pipe> pipes_;  // while opening
};

}  // namespace crfs

#endif  // CRFS_ENGINE_REOPEN_FILES_H_
