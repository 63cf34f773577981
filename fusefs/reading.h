// SPDX-License-Identifier: Apache-2.0
//
// The operations that are the same of a tree that can be changed and of one that cannot. A
// `Target` has a `tree`, with the calls of Tree, and says what the kernel may believe:
// Believe(inode, moment) of what the tree has said of it since the moment that Now() gave, and
// kMissing, the seconds for which it may believe that a name is missing.

#ifndef CRFS_FUSEFS_READING_H_
#define CRFS_FUSEFS_READING_H_

#include <cerrno>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fusefs/directory.h"
#include "fusefs/guard.h"
#include "fusefs/reply.h"
#include "index/tree.h"

namespace crfs {

inline constexpr size_t kMaxName = 255;

template <typename Target>
void Lookup(Target& target, Reply& reply, fuse_ino_t directory, const char* name) {
  const absl::string_view wanted = name;
  if (wanted.size() > kMaxName) return reply.Error(ENAMETOOLONG);
  const auto moment = target.Now();
  absl::StatusOr<Attributes> found;
  // Only a file handle from before (NFS, open_by_handle_at) is looked up by these two.
  if (wanted == ".") {
    found = target.tree.Stat(directory);
  } else if (wanted == "..") {
    const absl::StatusOr<Inode> parent = target.tree.Parent(directory);
    if (!parent.ok()) return reply.Failed(parent.status());
    found = target.tree.Stat(*parent);
  } else {
    found = target.tree.Lookup(directory, wanted);
    if (absl::IsNotFound(found.status())) return reply.NotFound(Target::kMissing);
  }
  if (!found.ok()) return reply.Failed(found.status());
  reply.Found(*found, target.Believe(found->inode, moment));
}

template <typename Target>
void ReadLink(Target& target, Reply& reply, fuse_ino_t link) {
  const absl::StatusOr<std::string> text = target.tree.ReadLink(link);
  if (!text.ok()) return reply.Failed(text.status());
  reply.Link(*text);
}

template <typename Target, bool attributes>
void ReadDirectory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                   fuse_file_info*) noexcept {
  Guard(request, [&](Reply& reply) {
    const Target& target = TargetOf<Target>(request);
    const auto moment = target.Now();
    const auto parent = [&] { return target.tree.Parent(inode); };
    const auto list = [&](uint64_t from, absl::FunctionRef<bool(const Entry&)> visit) {
      return target.tree.List(inode, from, visit);
    };
    const auto belief = [&](Inode entry) { return target.Believe(entry, moment); };
    ReplyEntries({inode, parent, list, belief}, {request, size, offset, attributes}, reply);
  });
}

template <typename Target>
void ListXattr(Target& target, Reply& reply, fuse_ino_t inode, size_t size) {
  std::string names;
  for (const std::string& name : target.tree.ListXattrs(inode)) {
    names += name;
    names += '\0';
  }
  reply.Xattr(names, size);
}

}  // namespace crfs

#endif  // CRFS_FUSEFS_READING_H_
