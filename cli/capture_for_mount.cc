// SPDX-License-Identifier: Apache-2.0

#include "cli/capture_for_mount.h"

#include <sys/types.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/progress.h"
#include "engine/checkpoint.h"

namespace crfs {
namespace {

// An image is as large as the program's memory: not for a file system in memory.
absl::StatusOr<std::string> MakeFolder() {
  const char* place = std::getenv("TMPDIR");
  std::string folder = absl::StrCat(place != nullptr ? place : "/var/tmp", "/crfs-XXXXXX");
  if (::mkdtemp(folder.data()) == nullptr) {
    const int error = errno;
    return absl::ErrnoToStatus(
        error, absl::StrCat(folder, ": no folder for the image: name a place with TMPDIR"));
  }
  return folder;
}

// Saves the task `pid` into the folder.
absl::Status Save(pid_t pid, const std::string& folder, MountOptions& options) {
  CheckpointOptions checkpoint;
  checkpoint.pid = pid;
  checkpoint.image = absl::StrCat(folder, "/image.crfs");
  checkpoint.inspect = true;
  Progress progress(absl::StrCat("saving ", pid));
  checkpoint.progress = [&progress](uint64_t done, uint64_t total) {
    progress.Update(done, total);
  };
  const absl::StatusOr<CheckpointResult> result = TakeCheckpoint(checkpoint);
  if (!result.ok()) return result.status();
  if (!result->unsupported.empty()) {
    std::fprintf(stderr,
                 "crfs: %s: %zu of its states cannot be restarted: see checkpoint/unsupported\n",
                 options.image.c_str(), result->unsupported.size());
  }
  if (options.source.empty()) options.source = options.image;
  options.image = checkpoint.image;
  if (options.index_directory.empty()) options.index_directory = absl::StrCat(folder, "/index");
  options.temporary_folder = folder;
  return absl::OkStatus();
}

}  // namespace

absl::Status CaptureForMount(MountOptions& options) {
  absl::string_view word = options.image;
  if (!absl::ConsumePrefix(&word, "pid:")) return absl::OkStatus();
  pid_t pid;
  if (!absl::SimpleAtoi(word, &pid) || pid <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.image, ": is no process id: give pid: and a number"));
  }
  const absl::StatusOr<std::string> folder = MakeFolder();
  if (!folder.ok()) return folder.status();
  absl::Status status = Save(pid, *folder, options);
  if (!status.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(*folder, ignored);
  }
  return status;
}

}  // namespace crfs
