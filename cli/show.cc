// SPDX-License-Identifier: Apache-2.0
//
// crfs show: ls and cat without a mount.

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/image_argument.h"
#include "cli/show_json.h"
#include "cli/verbs.h"
#include "index/byte_stream.h"
#include "index/tree.h"
#include "index/tree_contents.h"
#include "index/tree_path.h"

namespace crfs {
namespace {

struct ShowOptions {
  std::shared_ptr<ImageArgument> image;
  std::string path;
  bool json = false;
};

absl::Status PrintDirectory(const Tree& tree, Inode directory, ByteSink& out) {
  std::string text;
  absl::Status failed;
  const absl::Status listed = tree.List(directory, 0, [&](const Entry& entry) {
    absl::StrAppend(&text, entry.name);
    if (S_ISDIR(entry.attributes.mode)) {
      text += '/';
    } else if (S_ISLNK(entry.attributes.mode)) {
      const absl::StatusOr<std::string> target = tree.ReadLink(entry.attributes.inode);
      if (!target.ok()) {
        failed = target.status();
        return false;
      }
      absl::StrAppend(&text, " -> ", *target);
    }
    text += '\n';
    if (text.size() >= 1 << 16) {
      failed = out.Write(text);
      text.clear();
    }
    return failed.ok();
  });
  if (!failed.ok()) return failed;
  if (!listed.ok()) return listed;
  return out.Write(text);
}

absl::StatusOr<int> RunShow(const ShowOptions& options) {
  const absl::StatusOr<std::unique_ptr<Index>> index = OpenImage(*options.image);
  if (!index.ok()) return index.status();
  const Tree tree(index->get(), TreeOptions{});
  const absl::StatusOr<Inode> inode = ResolvePath(tree, options.path, true);
  if (!inode.ok()) {
    return absl::Status(inode.status().code(),
                        absl::StrCat(options.image->path, ": ", inode.status().message(),
                                     ": see crfs show ", options.image->path));
  }
  const absl::StatusOr<Attributes> attributes = tree.Stat(*inode);
  if (!attributes.ok()) return attributes.status();
  FdSink out(STDOUT_FILENO, "standard output");
  absl::Status printed;
  if (options.json) {
    printed = PrintJson(tree, *inode, out);
  } else if (S_ISDIR(attributes->mode)) {
    printed = PrintDirectory(tree, *inode, out);
  } else {
    printed = CopyContents(tree, *attributes, out);
  }
  if (!printed.ok()) return printed;
  return 0;
}

}  // namespace

Verb AddShow(CLI::App& app) {
  CLI::App* command = app.add_subcommand("show", "Look into an image without mounting it");
  auto options = std::make_shared<ShowOptions>();
  options->image = AddImageArgument(*command);
  command->add_option("PATH", options->path, "a directory or file of its tree (default: the root)");
  command->add_flag("--json", options->json, "print it, and all below it, as JSON");
  return {command, [options] { return RunShow(*options); }};
}

}  // namespace crfs
