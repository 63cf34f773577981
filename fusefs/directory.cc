// SPDX-License-Identifier: Apache-2.0

#include "fusefs/directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>

#include "fusefs/attributes.h"

namespace crfs {
namespace {

// An entry's offset is where to go on after it: 1 after `.`, 2 after `..`, and from there
// on what the tree says, moved by 2.
constexpr uint64_t kAfterDot = 1;
constexpr uint64_t kAfterDotDot = 2;

// Kernels since 6.16 ask for as much as getdents(2) has room for; no more than this is
// worth the memory.
constexpr size_t kMaxReply = 64 << 10;

class Entries {
 public:
  Entries(const EntriesRequest& wanted, absl::FunctionRef<Belief(Inode)> belief)
      : request_(wanted.request),
        size_(std::min(wanted.size, kMaxReply)),
        attributes_(wanted.attributes),
        belief_(belief),
        buffer_(std::make_unique_for_overwrite<char[]>(size_)) {}

  // False if it does not fit any more.
  bool Add(absl::string_view name, const Attributes& attributes, uint64_t next) {
    name_.assign(name.data(), name.size());
    char* const place = buffer_.get() + used_;
    const size_t room = size_ - used_;
    size_t needed;
    if (attributes_) {
      // The kernel looks neither of these two up by what is given here.
      const bool dots = name == "." || name == "..";
      fuse_entry_param entry =
          EntryOf(attributes, dots ? kBelieveForever : belief_(attributes.inode));
      if (dots) entry.ino = 0;
      needed = fuse_add_direntry_plus(request_, place, room, name_.c_str(), &entry,
                                      static_cast<off_t>(next));
    } else {
      struct stat stat = {};
      stat.st_ino = attributes.inode;
      stat.st_mode = attributes.mode;
      needed =
          fuse_add_direntry(request_, place, room, name_.c_str(), &stat, static_cast<off_t>(next));
    }
    if (needed > room) return false;
    used_ += needed;
    return true;
  }

  absl::string_view bytes() const { return {buffer_.get(), used_}; }

 private:
  const fuse_req_t request_;
  const size_t size_;
  const bool attributes_;
  const absl::FunctionRef<Belief(Inode)> belief_;
  const std::unique_ptr<char[]> buffer_;
  size_t used_ = 0;
  std::string name_;  // the current one, ended by a NUL
};

absl::Status AddFrom(const ListedDirectory& directory, uint64_t offset, Entries& entries) {
  const Attributes self = {.inode = directory.inode, .mode = S_IFDIR};
  if (offset < kAfterDot && !entries.Add(".", self, kAfterDot)) return absl::OkStatus();
  if (offset < kAfterDotDot) {
    const absl::StatusOr<Inode> parent = directory.parent();
    if (!parent.ok()) return parent.status();
    const Attributes above = {.inode = *parent, .mode = S_IFDIR};
    if (!entries.Add("..", above, kAfterDotDot)) return absl::OkStatus();
  }
  const uint64_t from = std::max(offset, kAfterDotDot) - kAfterDotDot;
  return directory.list(from, [&entries](const Entry& entry) {
    return entries.Add(entry.name, entry.attributes, entry.next + kAfterDotDot);
  });
}

}  // namespace

void ReplyEntries(const ListedDirectory& directory, const EntriesRequest& wanted, Reply& reply) {
  Entries entries(wanted, directory.belief);
  const absl::Status status = AddFrom(directory, static_cast<uint64_t>(wanted.offset), entries);
  // What was found before a damaged place is given out; the place itself fails the next call.
  if (!status.ok() && entries.bytes().empty()) return reply.Failed(status);
  reply.Bytes(entries.bytes());
}

}  // namespace crfs
