// SPDX-License-Identifier: Apache-2.0

#include "fusefs/operations.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "fusefs/capabilities.h"
#include "fusefs/guard.h"
#include "fusefs/reading.h"
#include "fusefs/reply.h"

namespace crfs {
namespace {

constexpr absl::string_view kXattrPrefix = "user.crfs.";

void Init(void* userdata, fuse_conn_info* connection) noexcept {
  Negotiate(connection, Changes::kNever);
  static_cast<Mounted*>(userdata)->ready();
}

void GetAttr(Mounted& mounted, Reply& reply, fuse_ino_t inode, fuse_file_info*) {
  const absl::StatusOr<Attributes> attributes = mounted.tree.Stat(inode);
  if (!attributes.ok()) return reply.Failed(attributes.status());
  reply.Attr(*attributes, kBelieveForever);
}

// ENOSYS once, and the kernel never asks again (since 5.1): it opens by itself, keeps pages
// and directories in its cache, and sends neither open nor release. Opening for writing
// never gets here, because the mount is read-only.
void NotNeeded(Mounted&, Reply& reply, fuse_ino_t, fuse_file_info*) { reply.Error(ENOSYS); }

void Read(Mounted& mounted, Reply& reply, fuse_ino_t file, size_t size, off_t offset,
          fuse_file_info*) {
  if (offset < 0) return reply.Error(EINVAL);
  const absl::StatusOr<Contents> contents =
      mounted.tree.Read(file, static_cast<uint64_t>(offset), size);
  if (!contents.ok()) return reply.Failed(contents.status());
  reply.Data(*contents, mounted.tree.image_fd());
}

void Seek(Mounted& mounted, Reply& reply, fuse_ino_t file, off_t offset, int whence,
          fuse_file_info*) {
  if (offset < 0) return reply.Error(ENXIO);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return reply.Error(EINVAL);
  const uint64_t from = static_cast<uint64_t>(offset);
  const absl::StatusOr<uint64_t> found =
      whence == SEEK_DATA ? mounted.tree.SeekData(file, from) : mounted.tree.SeekHole(file, from);
  if (!found.ok()) return reply.Failed(found.status());
  reply.Offset(*found);
}

void StatFs(Mounted& mounted, Reply& reply, fuse_ino_t) {
  struct statvfs numbers = {};
  numbers.f_bsize = 4096;
  numbers.f_frsize = 4096;
  numbers.f_blocks = (mounted.tree.image_size() + 4095) / 4096;
  numbers.f_files = mounted.tree.object_count();
  numbers.f_namemax = kMaxName;
  numbers.f_flag = ST_RDONLY | ST_NOSUID | ST_NODEV;
  reply.FileSystem(numbers);
}

void GetXattr(Mounted& mounted, Reply& reply, fuse_ino_t inode, const char* name, size_t size) {
  // ls asks each file for an access control list, cp for SELinux's label.
  if (!absl::StartsWith(name, kXattrPrefix)) return reply.Error(ENODATA);
  const absl::StatusOr<std::string> value = mounted.tree.GetXattr(inode, name);
  if (!value.ok()) return reply.Failed(value.status(), &XattrErrnoOf);
  reply.Xattr(*value, size);
}

// A mount can be made writable from outside (mount -o remount,rw); the image is not.
template <typename... Arguments>
void Refuse(fuse_req_t request, Arguments...) noexcept {
  Reply(request).Error(EROFS);
}

constexpr fuse_lowlevel_ops kOperations = {
    .init = Init,
    .lookup = Guarded<Lookup<Mounted>>::Run,
    .getattr = Guarded<GetAttr>::Run,
    .setattr = Refuse,
    .readlink = Guarded<ReadLink<Mounted>>::Run,
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
    .readdir = ReadDirectory<Mounted, false>,
    .statfs = Guarded<StatFs>::Run,
    .setxattr = Refuse,
    .getxattr = Guarded<GetXattr>::Run,
    .listxattr = Guarded<ListXattr<Mounted>>::Run,
    .removexattr = Refuse,
    .create = Refuse,
    .fallocate = Refuse,
    .readdirplus = ReadDirectory<Mounted, true>,
    .lseek = Guarded<Seek>::Run,
};

}  // namespace

const fuse_lowlevel_ops& Operations() { return kOperations; }

}  // namespace crfs
