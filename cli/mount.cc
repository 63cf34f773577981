// SPDX-License-Identifier: Apache-2.0
//
// crfs mount: an image as a tree of files.

#include "fusefs/mount.h"

#include <memory>
#include <string>
#include <vector>

#include "cli/capture_for_mount.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "fusefs/mount_options.h"

namespace crfs {
namespace {

struct MountArguments {
  MountOptions options;
  std::vector<std::string> lists;  // as after -o
};

// Wrong words are wrong usage, found before anything is done.
std::string CheckList(const std::string& list) {
  MountOptions unused;
  return std::string(ParseMountOptions(list, OptionsFrom::kCommandLine, unused).message());
}

absl::StatusOr<int> RunMount(const MountArguments& arguments) {
  MountOptions options = arguments.options;
  for (const std::string& list : arguments.lists) {
    const absl::Status status = ParseMountOptions(list, OptionsFrom::kCommandLine, options);
    if (!status.ok()) return status;
  }
  if (absl::Status status = CaptureForMount(options); !status.ok()) return status;
  Progress progress("indexing " + options.image);
  options.progress = [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); };
  const absl::Status status = Mount(std::move(options));
  if (!status.ok()) return status;
  return 0;
}

}  // namespace

Verb AddMount(CLI::App& app) {
  CLI::App* command = app.add_subcommand("mount", "Mount an image, read-only, as a tree of files");
  auto arguments = std::make_shared<MountArguments>();
  command
      ->add_option("IMAGE", arguments->options.image,
                   "the image to mount; pid:PID takes a checkpoint on the spot")
      ->required();
  command->add_option("DIR", arguments->options.directory, "the directory to mount it on")
      ->required();
  command
      ->add_option("-o", arguments->lists,
                   "options, separated by commas: views (list .views), allow_other or "
                   "noallow_other (whether other users may enter; default for root alone), "
                   "noexec, index=DIR, fsname=NAME, foreground")
      ->type_name("OPTIONS")
      ->allow_extra_args(false)
      ->check(&CheckList);
  command
      ->add_option("--index", arguments->options.index_directory,
                   "where indexes are kept (default: $XDG_CACHE_HOME/crfs)")
      ->type_name("DIR");
  command->add_flag("-f,--foreground", arguments->options.foreground, "stay until it is unmounted");
  return {command, [arguments] { return RunMount(*arguments); }};
}

}  // namespace crfs
