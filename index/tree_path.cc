// SPDX-License-Identifier: Apache-2.0

#include "index/tree_path.h"

#include <sys/stat.h>

#include <deque>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace crfs {
namespace {

// As many as Linux follows (MAXSYMLINKS).
constexpr int kLinksMax = 40;

struct Step {
  std::string name;
  Inode inode;
};

std::string PathOf(const std::vector<Step>& steps, absl::string_view last) {
  std::string path;
  for (const Step& step : steps) absl::StrAppend(&path, step.name, "/");
  return absl::StrCat(path, last);
}

}  // namespace

absl::StatusOr<Inode> ResolvePath(const Tree& tree, absl::string_view path, bool follow_last) {
  std::deque<std::string> rest = absl::StrSplit(path, '/', absl::SkipEmpty());
  std::vector<Step> steps;  // from the root down to where we are
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == ".") continue;
    if (name == "..") {
      if (!steps.empty()) steps.pop_back();
      continue;
    }
    const Inode here = steps.empty() ? kRootInode : steps.back().inode;
    const absl::StatusOr<Attributes> found = tree.Lookup(here, name);
    if (!found.ok()) {
      if (absl::IsNotFound(found.status())) {
        return absl::NotFoundError(absl::StrCat(PathOf(steps, name), ": there is no such path"));
      }
      if (absl::IsFailedPrecondition(found.status())) {
        return absl::FailedPreconditionError(
            absl::StrCat(PathOf(steps, ""), ": is not a directory"));
      }
      return found.status();
    }
    if (!S_ISLNK(found->mode) || (rest.empty() && !follow_last)) {
      steps.push_back({name, found->inode});
      continue;
    }
    if (++links > kLinksMax) {
      return absl::FailedPreconditionError(
          absl::StrCat(PathOf(steps, name), ": too many symbolic links"));
    }
    absl::StatusOr<std::string> target = tree.ReadLink(found->inode);
    if (!target.ok()) return target.status();
    const std::vector<std::string> parts = absl::StrSplit(*target, '/', absl::SkipEmpty());
    rest.insert(rest.begin(), parts.begin(), parts.end());
  }
  return steps.empty() ? kRootInode : steps.back().inode;
}

}  // namespace crfs
