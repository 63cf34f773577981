// SPDX-License-Identifier: Apache-2.0

#include "fusefs/mount_options.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace crfs {
namespace {

std::vector<std::string> SplitWords(absl::string_view list) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == ',') {
      words.emplace_back();
      continue;
    }
    if (list[i] == '\\' && i + 1 < list.size()) ++i;
    words.back() += list[i];
  }
  return words;
}

// True of each crfs mount in any case, or of no meaning to a tree without devices, set-uid
// programs, access times and writes.
constexpr absl::string_view kWithoutEffect[] = {"suid",
                                                "nosuid",
                                                "dev",
                                                "nodev",
                                                "exec",
                                                "atime",
                                                "noatime",
                                                "diratime",
                                                "nodiratime",
                                                "relatime",
                                                "norelatime",
                                                "sync",
                                                "async",
                                                "dirsync",
                                                "lazytime",
                                                "nolazytime",
                                                "silent",
                                                "loud",
                                                "strictatime",
                                                "nostrictatime",
                                                "iversion",
                                                "noiversion",
                                                "default_permissions"};

// For mount(8) and its kin to act upon, not for the file system.
constexpr absl::string_view kOfFstab[] = {"rw",     "defaults", "auto",  "noauto", "user",
                                          "nouser", "users",    "owner", "group",  "_netdev",
                                          "nofail", "bg",       "fg"};

template <size_t n>
bool IsOneOf(absl::string_view word, const absl::string_view (&words)[n]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

absl::Status ParseWord(absl::string_view word, OptionsFrom from, MountOptions& options) {
  if (word == "views") {
    options.list_views = true;
  } else if (word == "foreground") {
    options.foreground = true;
  } else if (word == "allow_other") {
    options.allow_other = true;
  } else if (word == "noallow_other") {
    options.allow_other = false;
  } else if (word == "noexec") {
    options.no_exec = true;
  } else if (word == "ro") {
    options.read_only = true;
  } else if (word == "writable") {
    options.writable = true;
  } else if (word == "new") {
    options.is_new = true;
  } else if (absl::ConsumePrefix(&word, "edits=")) {
    options.edits_directory = std::string(word);
  } else if (absl::ConsumePrefix(&word, "index=")) {
    options.index_directory = std::string(word);
  } else if (absl::ConsumePrefix(&word, "fsname=")) {
    options.source = std::string(word);
  } else if (IsOneOf(word, kWithoutEffect)) {
    return absl::OkStatus();
  } else if (from == OptionsFrom::kFstab &&
             (IsOneOf(word, kOfFstab) || absl::StartsWith(word, "x-") ||
              absl::StartsWith(word, "X-") || absl::StartsWith(word, "comment=") ||
              absl::StartsWith(word, "user="))) {
    return absl::OkStatus();
  } else if (word == "rw") {
    return absl::InvalidArgumentError(
        "rw: an image is mounted read-only: leave it out, or change a copy with --rw");
  } else if (word == "remount") {
    return absl::InvalidArgumentError(
        "remount: a mount cannot be changed: unmount it and mount it again");
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(word, ": unknown option: see crfs mount --help"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseMountOptions(absl::string_view list, OptionsFrom from, MountOptions& options) {
  for (const std::string& word : SplitWords(list)) {
    if (word.empty()) continue;
    const absl::Status status = ParseWord(word, from, options);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckMountOptions(const MountOptions& options) {
  const bool changes = options.writable || options.is_new;
  if (options.writable && options.is_new) {
    return absl::InvalidArgumentError("a new tree has no image: give either --rw or --new");
  }
  if (!options.edits_directory.empty() && !changes) {
    return absl::InvalidArgumentError("--edits: nothing can be changed: give --rw or --new too");
  }
  if (!options.edits_directory.empty() && absl::StartsWith(options.image, "pid:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--edits: the image of ", options.image,
                     " goes away with the mount, and what is changed with it: take it with crfs "
                     "checkpoint first"));
  }
  if (options.read_only && changes) {
    return absl::InvalidArgumentError("ro: does not go with --rw or --new: leave it out");
  }
  if (options.list_views && changes) {
    return absl::InvalidArgumentError("views: does not go with --rw or --new: leave it out");
  }
  return absl::OkStatus();
}

std::string EscapeMountOption(absl::string_view word) {
  std::string escaped;
  for (const char c : word) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace crfs
