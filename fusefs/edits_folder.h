// SPDX-License-Identifier: Apache-2.0
//
// The folder in which the edits of a writable mount are kept.

#ifndef CRFS_FUSEFS_EDITS_FOLDER_H_
#define CRFS_FUSEFS_EDITS_FOLDER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/unique_fd.h"

namespace crfs {

// Its name where it lies in the directory that is mounted on, beneath the mount.
inline constexpr absl::string_view kEditsName = ".crfs-edits";

// Whether `directory` holds nothing else than edits: a mount over it would hide other files,
// and whoever deletes the edits with their directory would delete them too.
absl::Status CheckHoldsEditsAlone(const std::string& directory);

// The folder, open and locked until it is destroyed (or the process ends, however it does).
class EditsFolder {
 public:
  // Makes the folder if it is missing. Waits up to five seconds for a daemon that is about to
  // end; FAILED_PRECONDITION: another has it open. `path` is absolute; its last part is no
  // link.
  static absl::StatusOr<EditsFolder> Open(const std::string& path);

  // A path of this process that leads there also when something is mounted over it.
  std::string path() const;
  // The same error, with the name that a person knows in place of path().
  absl::Status Named(const absl::Status& status) const;

 private:
  EditsFolder(std::string name, UniqueFd fd) : name_(std::move(name)), fd_(std::move(fd)) {}

  std::string name_;
  UniqueFd fd_;
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_EDITS_FOLDER_H_
