// SPDX-License-Identifier: Apache-2.0
//
// Where a symbolic link of a tree leads, found from its text alone: no link is followed.

#ifndef CRFS_INDEX_TREE_LINK_H_
#define CRFS_INDEX_TREE_LINK_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/schema.h"
#include "index/tree_object.h"

namespace crfs {

// What a link that stands at `path` (from the root of the tree) with this text refers to: a
// TreeFile of kind kLink or kInherit. It belongs to an object of type `type` and shows `row`,
// whose codec is kRef. INVALID_ARGUMENT says what is wrong and what to do.
absl::StatusOr<TreeFile> ParseLink(const ObjectType& type, const Row& row, absl::string_view path,
                                   absl::string_view text);

// The path from the root that a link at `path` with this text leads to; nullopt if it leads out
// of the tree.
std::optional<std::string> FollowLink(absl::string_view path, absl::string_view text);

}  // namespace crfs

#endif  // CRFS_INDEX_TREE_LINK_H_
