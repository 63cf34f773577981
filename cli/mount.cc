// SPDX-License-Identifier: Apache-2.0
//
// crfs mount: an image, or a new tree, as a tree of files.

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
  std::vector<std::string> paths;  // IMAGE DIR, or DIR
};

// Wrong words are wrong usage, found before anything is done.
std::string CheckList(const std::string& list) {
  MountOptions unused;
  return std::string(ParseMountOptions(list, OptionsFrom::kCommandLine, unused).message());
}

// What follows from all arguments together, also wrong usage.
void Combine(MountArguments& arguments) {
  MountOptions& options = arguments.options;
  absl::Status status;
  for (const std::string& list : arguments.lists) {
    status.Update(ParseMountOptions(list, OptionsFrom::kCommandLine, options));
  }
  if (!status.ok()) throw CLI::ValidationError(std::string(status.message()));
  if (!options.is_new) options.image = arguments.paths.front();
  options.directory = arguments.paths.back();
  status = CheckMountOptions(options);
  if (!status.ok()) throw CLI::ValidationError(std::string(status.message()));
  const size_t wanted = options.is_new ? 1 : 2;
  if (arguments.paths.size() != wanted) {
    throw CLI::ValidationError(options.is_new ? "give one directory: crfs mount --new DIR"
                                              : "give an image and a directory: crfs mount IMAGE "
                                                "DIR");
  }
}

absl::StatusOr<int> RunMount(const MountArguments& arguments) {
  MountOptions options = arguments.options;
  if (absl::Status status = CaptureForMount(options); !status.ok()) return status;
  Progress progress("indexing " + options.image);
  options.progress = [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); };
  const absl::Status status = Mount(std::move(options));
  if (!status.ok()) return status;
  return 0;
}

}  // namespace

Verb AddMount(CLI::App& app) {
  CLI::App* command = app.add_subcommand("mount", "Mount an image, or a new tree, as files");
  auto arguments = std::make_shared<MountArguments>();
  MountOptions& options = arguments->options;
  command
      ->add_option("IMAGE DIR", arguments->paths,
                   "the image to mount, and where; pid:PID in place of the image takes a "
                   "checkpoint on the spot; with --new, the directory alone")
      ->required()
      ->expected(1, 2);
  command->add_flag("--rw", options.writable,
                    "a tree that can be changed; the image stays as it is");
  command->add_flag("--new", options.is_new, "an empty tree, to be written");
  command
      ->add_option("--edits", options.edits_directory,
                   "where changes are kept (default: .crfs-edits in the directory, beneath the "
                   "mount)")
      ->type_name("FOLDER");
  command
      ->add_option("-o", arguments->lists,
                   "options, separated by commas: views (list .views), allow_other or "
                   "noallow_other (whether other users may enter; default for root alone), "
                   "noexec, index=DIR, fsname=NAME, foreground, and as above: writable, new, "
                   "edits=FOLDER")
      ->type_name("OPTIONS")
      ->allow_extra_args(false)
      ->check(&CheckList);
  command
      ->add_option("--index", arguments->options.index_directory,
                   "where indexes are kept (default: $XDG_CACHE_HOME/crfs)")
      ->type_name("DIR");
  command->add_flag("-f,--foreground", arguments->options.foreground, "stay until it is unmounted");
  command->callback([arguments] { Combine(*arguments); });
  return {command, [arguments] { return RunMount(*arguments); }};
}

}  // namespace crfs
