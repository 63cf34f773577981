// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mount.h"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "fusefs/background.h"
#include "fusefs/edits_folder.h"
#include "fusefs/mountpoint.h"
#include "fusefs/operations.h"
#include "fusefs/session.h"
#include "fusefs/stop_signals.h"
#include "fusefs/writable_operations.h"
#include "index/editable_tree.h"
#include "index/index.h"
#include "index/tree.h"

namespace crfs {
namespace {

// The daemon's working directory is not the caller's, so no path may depend on it.
absl::Status MakeAbsolute(std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  path = absolute.lexically_normal().string();
  return absl::OkStatus();
}

void RemoveFolder(const std::string& folder) {
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
}

absl::StatusOr<std::unique_ptr<Index>> OpenIndex(const MountOptions& options) {
  IndexOptions index_options;
  index_options.directory = options.index_directory;
  index_options.progress = options.progress;
  absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(options.image, index_options);
  // From here on the image has no name: whatever becomes of us, its space is given back.
  if (index.ok() && !options.temporary_folder.empty()) ::unlink(options.image.c_str());
  return index;
}

// Mounts, and answers the kernel until the mount ends.
absl::Status ServeSession(const Session::Service& service, const MountOptions& options,
                          StopSignals& signals) {
  signals.Hold();
  const absl::StatusOr<std::unique_ptr<Session>> session = Session::Mount(service, options);
  if (!session.ok()) return session.status();
  signals.Deliver([&session] { (*session)->Stop(); });
  const absl::Cleanup release = [&signals] { signals.Release(); };
  return (*session)->Serve();
}

absl::Status ServeImage(const MountOptions& options, const std::function<void()>& ready) {
  StopSignals signals;
  const absl::StatusOr<std::unique_ptr<Index>> index = OpenIndex(options);
  if (!index.ok()) return index.status();
  const Tree tree(index->get(), TreeOptions{.list_views = options.list_views});
  Mounted mounted = {tree, ready};
  return ServeSession({Operations(), &mounted, false}, options, signals);
}

absl::Status ServeEdits(const MountOptions& options, const std::function<void()>& ready) {
  StopSignals signals;
  // Before the mount hides it.
  const absl::StatusOr<EditsFolder> folder = EditsFolder::Open(options.edits_directory);
  if (!folder.ok()) return folder.status();
  std::unique_ptr<Index> image;
  if (!options.is_new) {
    absl::StatusOr<std::unique_ptr<Index>> index = OpenIndex(options);
    if (!index.ok()) return index.status();
    image = *std::move(index);
  }
  const absl::StatusOr<std::unique_ptr<EditableTree>> tree =
      EditableTree::Open(image.get(), folder->path());
  if (!tree.ok()) return folder->Named(tree.status());
  absl::Status served;
  {
    WritableMounted mounted = {**tree, ready};
    served =
        ServeSession({WritableOperations(), &mounted, true, &mounted.session}, options, signals);
  }
  const absl::Status kept = folder->Named((*tree)->Sync());
  return served.ok() ? kept : served;
}

absl::Status Serve(const MountOptions& options, const std::function<void()>& ready) {
  const absl::Cleanup remove = [&options] { RemoveFolder(options.temporary_folder); };
  return options.writable || options.is_new ? ServeEdits(options, ready)
                                            : ServeImage(options, ready);
}

// The first answer of the mount, as its users will see it.
absl::Status CheckAnswer(const std::string& directory) {
  struct stat status;
  if (::stat(directory.c_str(), &status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(directory, ": mounted, but its first answer is: ",
                                          std::strerror(errno), ": see the system's log"));
}

// Where edits are kept, unless that has been said.
absl::Status PrepareEdits(MountOptions& options) {
  if (options.source.empty() && options.is_new) options.source = "none";
  if (!options.temporary_folder.empty()) {
    options.edits_directory = absl::StrCat(options.temporary_folder, "/edits");
  } else if (options.edits_directory.empty()) {
    if (absl::Status status = CheckHoldsEditsAlone(options.directory); !status.ok()) return status;
    options.edits_directory = absl::StrCat(options.directory, "/", kEditsName);
  }
  return absl::OkStatus();
}

// Looks at all that can be looked at before a mount, and makes the paths absolute.
absl::Status Prepare(MountOptions& options) {
  const absl::StatusOr<std::string> directory = CheckMountpoint(options.directory);
  if (!directory.ok()) return directory.status();
  options.directory = *directory;
  const absl::Status fuse = CheckFuse(options.allow_other.value_or(false));
  if (!fuse.ok()) return fuse;
  for (std::string* path : {&options.image, &options.index_directory, &options.edits_directory}) {
    if (path->empty()) continue;
    const absl::Status status = MakeAbsolute(*path);
    if (!status.ok()) return status;
  }
  return options.writable || options.is_new ? PrepareEdits(options) : absl::OkStatus();
}

}  // namespace

absl::Status Mount(MountOptions options) {
  if (absl::Status status = Prepare(options); !status.ok()) {
    RemoveFolder(options.temporary_folder);
    return status;
  }
  // The threads of the session allocate little and briefly; an arena each would only keep
  // what they freed.
  ::mallopt(M_ARENA_MAX, 2);
  if (options.foreground) return Serve(options, [] {});
  const absl::Status status = RunInBackground(
      [&options](const std::function<void()>& ready) { return Serve(options, ready); });
  if (!status.ok()) return status;
  return CheckAnswer(options.directory);
}

}  // namespace crfs
