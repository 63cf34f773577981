// SPDX-License-Identifier: Apache-2.0
//
// A folder of checkpoints that were taken one after another of the same program: NUMBER.crfs, each
// complete or not there, and `settings`, what to go on with. One process uses it at a time. Not for
// use by several threads at once.

#ifndef CRFS_ENGINE_RUN_FOLDER_H_
#define CRFS_ENGINE_RUN_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/unique_fd.h"

namespace crfs {

struct RunSettings {
  // From the beginning of one checkpoint to that of the next; of a program that checkpoints itself
  // on a signal, infinite.
  absl::Duration every = absl::InfiniteDuration();
  uint64_t signal = 0;               // that one, or 0
  uint64_t keep = 0;                 // how many checkpoints, at least 1
  std::string engine;                // kernel, ptrace or auto
  std::vector<std::string> exclude;  // as ParseExclusion takes them
  bool skip_dontdump = false;
};

// The file `settings`: a word and a value a line. INVALID_ARGUMENT says what is wrong.
std::string FormatSettings(const RunSettings& settings);
absl::StatusOr<RunSettings> ParseSettings(absl::string_view text);

class RunFolder {
 public:
  // The folder, made if there is none; FAILED_PRECONDITION if there are checkpoints in it.
  static absl::StatusOr<RunFolder> Create(const std::string& path);
  // One that is there.
  static absl::StatusOr<RunFolder> Open(const std::string& path);

  absl::StatusOr<RunSettings> ReadSettings() const;
  absl::Status WriteSettings(const RunSettings& settings) const;

  // Absolute, for programs that may change their working directory.
  absl::StatusOr<std::string> WholePath() const;
  // Paths of the complete checkpoints, the newest first.
  absl::StatusOr<std::vector<std::string>> Images() const;
  // Path of the next one, which is newer than all that there have been.
  absl::StatusOr<std::string> NextImage() const;
  // Removes all but the newest `keep`.
  absl::Status Prune(uint64_t keep) const;
  // Takes a checkpoint that cannot be used out of their number; it stays as NUMBER.crfs.damaged.
  absl::Status SetAside(const std::string& image) const;

 private:
  RunFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  static absl::StatusOr<RunFolder> Lock(const std::string& path);
  absl::Status RemoveLeftovers() const;
  absl::Status Sync() const;

  std::string path_;
  UniqueFd lock_;  // the folder, with flock(2): whoever is killed has let go of it
};

}  // namespace crfs

#endif  // CRFS_ENGINE_RUN_FOLDER_H_
