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
#include "fusefs/mountpoint.h"
#include "fusefs/session.h"
#include "fusefs/stop_signals.h"
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

absl::Status Serve(const MountOptions& options, const std::function<void()>& ready) {
  const absl::Cleanup remove = [&options] { RemoveFolder(options.temporary_folder); };
  StopSignals signals;
  IndexOptions index_options;
  index_options.directory = options.index_directory;
  index_options.progress = options.progress;
  const absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(options.image, index_options);
  if (!index.ok()) return index.status();
  // From here on the image has no name: whatever becomes of us, its space is given back.
  if (!options.temporary_folder.empty()) ::unlink(options.image.c_str());
  const Tree tree(index->get(), TreeOptions{.list_views = options.list_views});

  signals.Hold();
  const absl::StatusOr<std::unique_ptr<Session>> session = Session::Mount(tree, options, ready);
  if (!session.ok()) return session.status();
  signals.Deliver([&session] { (*session)->Stop(); });
  const absl::Cleanup release = [&signals] { signals.Release(); };
  return (*session)->Serve();
}

// The first answer of the mount, as its users will see it.
absl::Status CheckAnswer(const std::string& directory) {
  struct stat status;
  if (::stat(directory.c_str(), &status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(directory, ": mounted, but its first answer is: ",
                                          std::strerror(errno), ": see the system's log"));
}

// Looks at all that can be looked at before a mount, and makes the paths absolute.
absl::Status Prepare(MountOptions& options) {
  const absl::StatusOr<std::string> directory = CheckMountpoint(options.directory);
  if (!directory.ok()) return directory.status();
  options.directory = *directory;
  const absl::Status fuse = CheckFuse(options.allow_other.value_or(false));
  if (!fuse.ok()) return fuse;
  for (std::string* path : {&options.image, &options.index_directory}) {
    if (path->empty()) continue;
    const absl::Status status = MakeAbsolute(*path);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
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
