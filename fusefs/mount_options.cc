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
constexpr absl::string_view kWithoutEffect[] = {
    "ro",     "suid",    "nosuid",   "dev",        "nodev",         "exec",
    "atime",  "noatime", "diratime", "nodiratime", "relatime",      "norelatime",
    "sync",   "async",   "dirsync",  "lazytime",   "nolazytime",    "strictatime",
    "silent", "loud",    "iversion", "noiversion", "nostrictatime", "default_permissions"};

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
    return absl::InvalidArgumentError("rw: an image is mounted read-only: leave it out");
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

std::string EscapeMountOption(absl::string_view word) {
  std::string escaped;
  for (const char c : word) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace crfs
