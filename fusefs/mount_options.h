// SPDX-License-Identifier: Apache-2.0
//
// The options of a mount, and the words of `-o` that set them.

#ifndef CRFS_FUSEFS_MOUNT_OPTIONS_H_
#define CRFS_FUSEFS_MOUNT_OPTIONS_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace crfs {

struct MountOptions {
  std::string image;      // not of a new tree
  std::string directory;  // where to mount
  bool writable = false;  // an image that can be changed: the changes are kept elsewhere
  bool is_new = false;    // an empty tree that can be changed, without an image
  // The folder in which changes are kept; empty: .crfs-edits in `directory`, beneath the mount.
  std::string edits_directory;
  std::string index_directory;  // empty: where indexes are kept by default
  std::string source;           // what mount(8) and df(1) show; empty: the image's path
  // A folder that holds the image (and perhaps its index), to be removed when the mount has
  // ended or failed; empty: none.
  std::string temporary_folder;
  bool list_views = false;  // whether the root lists .views
  bool foreground = false;
  bool no_exec = false;
  bool read_only = false;  // asked for in words; it is so in any case, unless one of the above
  // Whether other users may enter (files keep their owners and modes). Unset: root's mounts
  // may be entered, others not.
  std::optional<bool> allow_other;
  // Called while an index is built: bytes of the image read, and all of them.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// Who wrote the options.
enum class OptionsFrom {
  kCommandLine,  // a person: what has no effect is refused, with what to do
  kFstab,        // mount(8) and fstab(5), which add words of their own (rw, noauto, ...)
};

// Takes a list as after -o: words separated by commas; `\,` is a comma within a word.
// INVALID_ARGUMENT names the word that is not understood.
absl::Status ParseMountOptions(absl::string_view list, OptionsFrom from, MountOptions& options);

// Whether they go together, when all have been taken; `image` may be pid:PID. INVALID_ARGUMENT.
absl::Status CheckMountOptions(const MountOptions& options);

// Writes a word such that it can stand in such a list.
std::string EscapeMountOption(absl::string_view word);

}  // namespace crfs

#endif  // CRFS_FUSEFS_MOUNT_OPTIONS_H_
