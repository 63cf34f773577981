// SPDX-License-Identifier: Apache-2.0

#include "index/tree_link.h"

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "crfs/schema.h"
#include "index/codec.h"
#include "index/object_name.h"

namespace crfs {
namespace {

constexpr absl::string_view kInherit = "inherit/";

// What a person would write.
std::string Example(const Row& row) {
  const ObjectType& target = TargetOf(row);
  return absl::StrCat(target.place, "/", target.key == Key::kId ? "ID" : "PID");
}

absl::Status Wrong(const Row& row, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": link to ", Example(row), " by a relative path"));
}

std::string Shown(absl::string_view text) {
  constexpr size_t kShown = 200;
  return EscapeText(text.substr(0, kShown));
}

}  // namespace

std::optional<std::string> FollowLink(absl::string_view path, absl::string_view text) {
  std::vector<absl::string_view> names = absl::StrSplit(path, '/', absl::SkipEmpty());
  names.pop_back();  // the link's own
  for (const absl::string_view name : absl::StrSplit(text, '/', absl::SkipEmpty())) {
    if (name == ".") continue;
    if (name != "..") {
      names.push_back(name);
    } else if (names.empty()) {
      return std::nullopt;
    } else {
      names.pop_back();
    }
  }
  return absl::StrJoin(names, "/");
}

absl::StatusOr<TreeFile> ParseLink(const ObjectType& type, const Row& row, absl::string_view path,
                                   absl::string_view text) {
  TreeFile file;
  if (absl::StartsWith(text, "/")) {
    return Wrong(row, absl::StrCat("is a link to the absolute path ", Shown(text)));
  }
  const std::optional<std::string> target = FollowLink(path, text);
  if (!target.has_value()) {
    return Wrong(row, absl::StrCat("is a link out of the tree, to ", Shown(text)));
  }
  absl::string_view rest = absl::StartsWith(text, kInherit) ? text : absl::string_view(*target);
  if (type.tag == CRFS_TAG_fd && absl::ConsumePrefix(&rest, kInherit)) {
    int number;
    if (!absl::SimpleAtoi(rest, &number) || number < 0 || absl::StrCat(number) != rest) {
      return absl::InvalidArgumentError(absl::StrCat(
          "is a link to ", Shown(text), ": after inherit/ comes the number of a descriptor"));
    }
    file.kind = TreeFile::Kind::kInherit;
    file.value.number = static_cast<uint64_t>(number);
    return file;
  }
  const ObjectType& wanted = TargetOf(row);
  absl::string_view name = *target;
  if (absl::ConsumePrefix(&name, absl::StrCat(wanted.place, "/"))) {
    if (const auto parsed = ParseObjectName(wanted, name); parsed.has_value()) {
      file.kind = TreeFile::Kind::kLink;
      file.value.number = parsed->key;
      return file;
    }
  }
  return Wrong(row, absl::StrCat("is a link to ", target->empty() ? "the root" : Shown(*target),
                                 ", which is no ", wanted.name));
}

}  // namespace crfs
