// SPDX-License-Identifier: Apache-2.0

#include "fusefs/operations.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "fusefs/capabilities.h"
#include "fusefs/directory.h"
#include "fusefs/reply.h"

namespace crfs {
namespace {

constexpr size_t kMaxName = 255;
constexpr absl::string_view kXattrPrefix = "user.crfs.";

const Mounted& MountedOf(void* userdata) { return *static_cast<const Mounted*>(userdata); }

// The edge to C: no exception gets past it, and whatever happens the request is answered.
template <typename Body>
void Guard(fuse_req_t request, Body body) noexcept {
  Reply reply(request);
  try {
    body(MountedOf(fuse_req_userdata(request)).tree, reply);
  } catch (const std::bad_alloc&) {
    if (!reply.answered()) reply.Error(ENOMEM);
  } catch (...) {
    if (!reply.answered()) reply.Error(EIO);
  }
}

template <auto operation>
struct Guarded;

template <typename... Arguments, void (*operation)(const Tree&, Reply&, Arguments...)>
struct Guarded<operation> {
  static void Run(fuse_req_t request, Arguments... arguments) noexcept {
    Guard(request, [&](const Tree& tree, Reply& reply) { operation(tree, reply, arguments...); });
  }
};

void Init(void* userdata, fuse_conn_info* connection) noexcept {
  Negotiate(connection);
  MountedOf(userdata).ready();
}

void Lookup(const Tree& tree, Reply& reply, fuse_ino_t directory, const char* name) {
  const absl::string_view wanted = name;
  if (wanted.size() > kMaxName) return reply.Error(ENAMETOOLONG);
  absl::StatusOr<Attributes> found;
  // Only a file handle from before (NFS, open_by_handle_at) is looked up by these two.
  if (wanted == ".") {
    found = tree.Stat(directory);
  } else if (wanted == "..") {
    const absl::StatusOr<Inode> parent = tree.Parent(directory);
    if (!parent.ok()) return reply.Failed(parent.status());
    found = tree.Stat(*parent);
  } else {
    found = tree.Lookup(directory, wanted);
    if (absl::IsNotFound(found.status())) return reply.NotFound();
  }
  if (!found.ok()) return reply.Failed(found.status());
  reply.Found(*found);
}

void GetAttr(const Tree& tree, Reply& reply, fuse_ino_t inode, fuse_file_info*) {
  const absl::StatusOr<Attributes> attributes = tree.Stat(inode);
  if (!attributes.ok()) return reply.Failed(attributes.status());
  reply.Attr(*attributes);
}

void ReadLink(const Tree& tree, Reply& reply, fuse_ino_t link) {
  const absl::StatusOr<std::string> target = tree.ReadLink(link);
  if (!target.ok()) return reply.Failed(target.status());
  reply.Link(*target);
}

// ENOSYS once, and the kernel never asks again (since 5.1): it opens by itself, keeps pages
// and directories in its cache, and sends neither open nor release. Opening for writing
// never gets here, because the mount is read-only.
void NotNeeded(const Tree&, Reply& reply, fuse_ino_t, fuse_file_info*) { reply.Error(ENOSYS); }

void Read(const Tree& tree, Reply& reply, fuse_ino_t file, size_t size, off_t offset,
          fuse_file_info*) {
  if (offset < 0) return reply.Error(EINVAL);
  const absl::StatusOr<Contents> contents = tree.Read(file, static_cast<uint64_t>(offset), size);
  if (!contents.ok()) return reply.Failed(contents.status());
  reply.Data(*contents, tree.image_fd());
}

void Seek(const Tree& tree, Reply& reply, fuse_ino_t file, off_t offset, int whence,
          fuse_file_info*) {
  if (offset < 0) return reply.Error(ENXIO);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return reply.Error(EINVAL);
  const uint64_t from = static_cast<uint64_t>(offset);
  const absl::StatusOr<uint64_t> found =
      whence == SEEK_DATA ? tree.SeekData(file, from) : tree.SeekHole(file, from);
  if (!found.ok()) return reply.Failed(found.status());
  reply.Offset(*found);
}

template <bool attributes>
void ReadDirectory(fuse_req_t request, fuse_ino_t directory, size_t size, off_t offset,
                   fuse_file_info*) noexcept {
  Guard(request, [&](const Tree& tree, Reply& reply) {
    ReplyEntries(tree, reply, request, directory, size, offset, attributes);
  });
}

void StatFs(const Tree& tree, Reply& reply, fuse_ino_t) {
  struct statvfs numbers = {};
  numbers.f_bsize = 4096;
  numbers.f_frsize = 4096;
  numbers.f_blocks = (tree.image_size() + 4095) / 4096;
  numbers.f_files = tree.object_count();
  numbers.f_namemax = kMaxName;
  numbers.f_flag = ST_RDONLY | ST_NOSUID | ST_NODEV;
  reply.FileSystem(numbers);
}

void GetXattr(const Tree& tree, Reply& reply, fuse_ino_t inode, const char* name, size_t size) {
  // ls asks each file for an access control list, cp for SELinux's label.
  if (!absl::StartsWith(name, kXattrPrefix)) return reply.Error(ENODATA);
  const absl::StatusOr<std::string> value = tree.GetXattr(inode, name);
  if (!value.ok()) return reply.Failed(value.status(), &XattrErrnoOf);
  reply.Xattr(*value, size);
}

void ListXattr(const Tree& tree, Reply& reply, fuse_ino_t inode, size_t size) {
  std::string names;
  for (const std::string& name : tree.ListXattrs(inode)) {
    names += name;
    names += '\0';
  }
  reply.Xattr(names, size);
}

// A mount can be made writable from outside (mount -o remount,rw); the image is not.
template <typename... Arguments>
void Refuse(fuse_req_t request, Arguments...) noexcept {
  Reply(request).Error(EROFS);
}

constexpr fuse_lowlevel_ops kOperations = {
    .init = Init,
    .lookup = Guarded<Lookup>::Run,
    .getattr = Guarded<GetAttr>::Run,
    .setattr = Refuse,
    .readlink = Guarded<ReadLink>::Run,
    .mknod = Refuse,
    .mkdir = Refuse,
    .unlink = Refuse,
    .rmdir = Refuse,
    .symlink = Refuse,
    .rename = Refuse,
    .link = Refuse,
    .open = Guarded<NotNeeded>::Run,
    .read = Guarded<Read>::Run,
    .write = Refuse,
    .opendir = Guarded<NotNeeded>::Run,
    .readdir = ReadDirectory<false>,
    .statfs = Guarded<StatFs>::Run,
    .setxattr = Refuse,
    .getxattr = Guarded<GetXattr>::Run,
    .listxattr = Guarded<ListXattr>::Run,
    .removexattr = Refuse,
    .create = Refuse,
    .fallocate = Refuse,
    .readdirplus = ReadDirectory<true>,
    .lseek = Guarded<Seek>::Run,
};

}  // namespace

const fuse_lowlevel_ops& Operations() { return kOperations; }

}  // namespace crfs
