// SPDX-License-Identifier: Apache-2.0

#include "cli/mount_helper.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "cli/capture_for_mount.h"
#include "fusefs/mount.h"
#include "fusefs/mount_options.h"

namespace crfs {
namespace {

// Exit statuses of mount(8).
constexpr int kMountUsage = 1;
constexpr int kMountFailed = 32;

int Say(absl::string_view message, int status) {
  std::fprintf(stderr, "crfs: %.*s\n", static_cast<int>(message.size()), message.data());
  return status;
}

}  // namespace

bool IsMountHelper(absl::string_view program) {
  const size_t slash = program.rfind('/');
  if (slash != absl::string_view::npos) program.remove_prefix(slash + 1);
  return absl::StartsWith(program, "mount.");
}

int RunMountHelper(int argc, char** argv) {
  MountOptions options;
  bool fake = false;
  // mount(8) gives the two paths first; getopt finds the options behind them.
  for (int option; (option = ::getopt(argc, argv, "sfnvN:o:t:")) != -1;) {
    switch (option) {
      case 'o': {
        const absl::Status status = ParseMountOptions(optarg, OptionsFrom::kFstab, options);
        if (!status.ok()) return Say(status.message(), kMountUsage);
        break;
      }
      case 'f':
        fake = true;
        break;
      case 'N':
        return Say("-N: another mount namespace cannot be mounted into: enter it first (nsenter)",
                   kMountUsage);
      case '?':
        return kMountUsage;
      default:  // -s, -n, -v, -t: nothing to do about them
        break;
    }
  }
  if (argc - optind != 2) {
    return Say("mount.crfs: give an image and a directory: mount -t crfs IMAGE DIR [-o OPTIONS]",
               kMountUsage);
  }
  // mount(8) wants a source in any case; that of a new tree is but a word.
  std::string& source = options.is_new ? options.source : options.image;
  if (source.empty()) source = argv[optind];
  options.directory = argv[optind + 1];
  if (absl::Status status = CheckMountOptions(options); !status.ok()) {
    return Say(status.message(), kMountUsage);
  }
  if (fake) return 0;
  // At boot and in mount(8) there is no home to keep indexes in.
  if (options.index_directory.empty() && std::getenv("HOME") == nullptr &&
      std::getenv("XDG_CACHE_HOME") == nullptr) {
    options.index_directory = "/var/cache/crfs";
  }
  absl::Status status = CaptureForMount(options);
  if (status.ok()) status = Mount(options);
  return status.ok() ? 0 : Say(status.message(), kMountFailed);
}

}  // namespace crfs
