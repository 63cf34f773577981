// SPDX-License-Identifier: Apache-2.0

#include "fusefs/writable_operations.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "fusefs/capabilities.h"
#include "fusefs/edits_daemon.h"
#include "fusefs/guard.h"
#include "fusefs/log.h"
#include "fusefs/reading.h"
#include "fusefs/reply.h"

namespace crfs {
namespace {

using Mount = WritableMounted;

// As Guarded, of operations that make something, which then belongs to the caller.
template <auto operation>
struct GuardedMaker;

template <typename... Arguments, void (*operation)(Mount&, Reply&, Caller, Arguments...)>
struct GuardedMaker<operation> {
  static void Run(fuse_req_t request, Arguments... arguments) noexcept {
    Guard(request, [&](Reply& reply) {
      const fuse_ctx& context = *fuse_req_ctx(request);
      const Caller caller = {.uid = context.uid, .gid = context.gid};
      operation(TargetOf<Mount>(request), reply, caller, arguments...);
    });
  }
};

// Answers an operation of which there is no more to say than whether it went well.
void Finish(Reply& reply, const absl::Status& status) {
  if (!status.ok()) return reply.Failed(status);
  reply.Done();
}

void Init(void* userdata, fuse_conn_info* connection) noexcept {
  Negotiate(connection, Changes::kByTheMountAlone);
  static_cast<Mount*>(userdata)->ready();
}

// --- attributes ---

// As whoever has the file open sees it. A file that has been unlinked is only there for those.
absl::StatusOr<Attributes> Stat(const Mount& mount, Inode inode) {
  const std::shared_ptr<Handle> handle = mount.files.LastOf(inode);
  if (handle != nullptr && handle->writable) return handle->file->Stat();
  absl::StatusOr<Attributes> attributes = mount.tree.Stat(inode);
  if (handle != nullptr && absl::IsNotFound(attributes.status())) return handle->file->Stat();
  return attributes;
}

void ReplyAttributes(const Mount& mount, Reply& reply, Inode inode,
                     const std::shared_ptr<Handle>& handle) {
  const Mount::Moment moment = mount.Now();
  const absl::StatusOr<Attributes> attributes =
      handle != nullptr ? handle->file->Stat() : Stat(mount, inode);
  if (!attributes.ok()) return reply.Failed(attributes.status());
  reply.Attr(*attributes, mount.Believe(inode, moment));
}

std::shared_ptr<Handle> HandleOf(const Mount& mount, const fuse_file_info* open) {
  return open == nullptr ? nullptr : mount.files.Get(open->fh);
}

void GetAttr(Mount& mount, Reply& reply, fuse_ino_t inode, fuse_file_info* open) {
  ReplyAttributes(mount, reply, inode, HandleOf(mount, open));
}

int64_t NsOf(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

AttributeChanges ChangesOf(const struct stat& wanted, int mask) {
  AttributeChanges changes;
  if ((mask & FUSE_SET_ATTR_MODE) != 0) changes.mode = wanted.st_mode & 07777;
  if ((mask & FUSE_SET_ATTR_UID) != 0) changes.uid = wanted.st_uid;
  if ((mask & FUSE_SET_ATTR_GID) != 0) changes.gid = wanted.st_gid;
  if ((mask & FUSE_SET_ATTR_SIZE) != 0) changes.size = static_cast<uint64_t>(wanted.st_size);
  if ((mask & FUSE_SET_ATTR_ATIME) != 0) changes.atime_ns = NsOf(wanted.st_atim);
  if ((mask & FUSE_SET_ATTR_MTIME) != 0) changes.mtime_ns = NsOf(wanted.st_mtim);
  if ((mask & FUSE_SET_ATTR_ATIME_NOW) != 0) changes.atime_ns = absl::GetCurrentTimeNanos();
  if ((mask & FUSE_SET_ATTR_MTIME_NOW) != 0) changes.mtime_ns = absl::GetCurrentTimeNanos();
  return changes;
}

bool IsEmpty(const AttributeChanges& changes) {
  return !changes.mode && !changes.uid && !changes.gid && !changes.size && !changes.atime_ns &&
         !changes.mtime_ns;
}

void SetAttr(Mount& mount, Reply& reply, fuse_ino_t inode, struct stat* wanted, int mask,
             fuse_file_info* open) {
  AttributeChanges changes = ChangesOf(*wanted, mask);
  const std::shared_ptr<Handle> handle = HandleOf(mount, open);
  if (handle != nullptr && changes.size.has_value()) {
    const absl::Status cut = handle->file->Truncate(*changes.size);
    if (!cut.ok()) return reply.Failed(cut);
    handle->changed = true;
    changes.size.reset();
  }
  if (changes.size.has_value()) mount.files.ChangeOthers();
  if (!IsEmpty(changes)) {
    const absl::StatusOr<Attributes> changed = mount.tree.SetAttributes(inode, changes);
    if (!changed.ok()) return reply.Failed(changed.status());
    if (changes.mtime_ns.has_value()) {
      for (const auto& writer : mount.files.WritersOf(inode)) writer->file->KeepTimes();
    }
  }
  ReplyAttributes(mount, reply, inode, handle);
}

// --- names ---

void ReplyMade(const Mount& mount, Reply& reply, Mount::Moment moment,
               const absl::StatusOr<Attributes>& made) {
  if (!made.ok()) return reply.Failed(made.status());
  reply.Found(*made, mount.Believe(made->inode, moment));
}

void MakeDirectory(Mount& mount, Reply& reply, Caller caller, fuse_ino_t directory,
                   const char* name, mode_t mode) {
  const Mount::Moment moment = mount.Now();
  ReplyMade(mount, reply, moment, mount.tree.MakeDirectory(directory, name, mode & 07777, caller));
}

void MakeLink(Mount& mount, Reply& reply, Caller caller, const char* target, fuse_ino_t directory,
              const char* name) {
  const Mount::Moment moment = mount.Now();
  ReplyMade(mount, reply, moment, mount.tree.MakeLink(directory, name, target, caller));
}

// A file without a descriptor. What no tree has is EPERM, as mknod(2) and link(2) say of file
// systems without it.
void MakeNode(Mount& mount, Reply& reply, Caller caller, fuse_ino_t directory, const char* name,
              mode_t mode, dev_t) {
  if (!S_ISREG(mode)) return reply.Error(EPERM);
  const Mount::Moment moment = mount.Now();
  const absl::StatusOr<EditableTree::Created> created =
      mount.tree.Create(directory, name, mode & 07777, true, false, caller);
  if (!created.ok()) return reply.Failed(created.status());
  ReplyMade(mount, reply, moment, created->attributes);
}

void HardLink(Mount&, Reply& reply, fuse_ino_t, fuse_ino_t, const char*) { reply.Error(EPERM); }

void Unlink(Mount& mount, Reply& reply, fuse_ino_t directory, const char* name) {
  const absl::Status status = mount.tree.Unlink(directory, name);
  mount.files.ChangeOthers();
  Finish(reply, status);
}

void RemoveDirectory(Mount& mount, Reply& reply, fuse_ino_t directory, const char* name) {
  const absl::Status status = mount.tree.RemoveDirectory(directory, name);
  mount.files.ChangeOthers();
  Finish(reply, status);
}

void Rename(Mount& mount, Reply& reply, fuse_ino_t directory, const char* name,
            fuse_ino_t new_directory, const char* new_name, unsigned flags) {
  const absl::StatusOr<Attributes> before = mount.tree.Lookup(directory, name);
  const absl::Status status = mount.tree.Rename(directory, name, new_directory, new_name, flags);
  mount.files.ChangeOthers();
  if (status.ok() && before.ok()) {
    // What has become a value may have another length now; the kernel takes it that names alone
    // have changed. (A negative offset is for attributes without pages, which cannot wait for us.)
    const absl::StatusOr<Attributes> after = mount.tree.Stat(before->inode);
    if (after.ok() && after->size != before->size) {
      fuse_lowlevel_notify_inval_inode(mount.session, before->inode, -1, 0);
    }
  }
  Finish(reply, status);
}

// --- open files ---

// A file that a row stands for has a codec (docs/tree.md); memory is what it is.
bool IsValue(const EditableTree& tree, Inode inode) {
  const absl::StatusOr<std::string> codec = tree.GetXattr(inode, "user.crfs.codec");
  return codec.ok() && *codec != "pages";
}

// Puts it among the open files, and tells the kernel how to go about it.
void Enter(Mount& mount, Inode inode, std::unique_ptr<OpenFile> file, fuse_file_info& open) {
  auto handle = std::make_shared<Handle>();
  handle->inode = inode;
  handle->writable = (open.flags & O_ACCMODE) != O_RDONLY || (open.flags & O_TRUNC) != 0;
  handle->is_value = IsValue(mount.tree, inode);
  handle->file = std::move(file);
  open.direct_io = handle->is_value || mount.tree.IsComputed(inode);
  open.keep_cache = !open.direct_io && mount.files.KeepsPages(inode);
  open.noflush = !handle->writable;
  open.fh = mount.files.Add(std::move(handle));
}

void Open(Mount& mount, Reply& reply, fuse_ino_t inode, fuse_file_info* open) {
  const bool truncate = (open->flags & O_TRUNC) != 0;
  const bool write = truncate || (open->flags & O_ACCMODE) != O_RDONLY;
  absl::StatusOr<std::unique_ptr<OpenFile>> file = mount.tree.Open(inode, write, truncate);
  if (!file.ok()) return reply.Failed(file.status());
  Enter(mount, inode, *std::move(file), *open);
  if (!reply.Opened(*open)) mount.files.Close(open->fh);
}

void Create(Mount& mount, Reply& reply, Caller caller, fuse_ino_t directory, const char* name,
            mode_t mode, fuse_file_info* open) {
  const Mount::Moment moment = mount.Now();
  absl::StatusOr<EditableTree::Created> created =
      mount.tree.Create(directory, name, mode & 07777, (open->flags & O_EXCL) != 0,
                        (open->flags & O_TRUNC) != 0, caller);
  if (!created.ok()) return reply.Failed(created.status());
  const Attributes& attributes = created->attributes;
  Enter(mount, attributes.inode, std::move(created->file), *open);
  if (!reply.Created(attributes, mount.Believe(attributes.inode, moment), *open)) {
    mount.files.Close(open->fh);
  }
}

void Release(Mount& mount, Reply& reply, fuse_ino_t, fuse_file_info* open) {
  // What a mapping has written since the descriptor was closed; munmap(2) tells of no errors.
  if (const auto handle = HandleOf(mount, open);
      handle != nullptr && handle->changed && !handle->is_value) {
    if (const absl::Status kept = handle->file->Flush(); !kept.ok()) LogError(kept.message());
  }
  mount.files.Close(open->fh);
  reply.Done();
}

// Runs work(handle), or answers EBADF.
template <typename Work>
void WithHandle(const Mount& mount, Reply& reply, const fuse_file_info* open, Work work) {
  const std::shared_ptr<Handle> handle = HandleOf(mount, open);
  if (handle == nullptr) return reply.Error(EBADF);
  work(*handle);
}

void Read(Mount& mount, Reply& reply, fuse_ino_t, size_t size, off_t offset, fuse_file_info* open) {
  if (offset < 0) return reply.Error(EINVAL);
  WithHandle(mount, reply, open, [&](Handle& handle) {
    const absl::StatusOr<Contents> contents =
        handle.file->Read(static_cast<uint64_t>(offset), size);
    if (!contents.ok()) return reply.Failed(contents.status());
    reply.Data(*contents, mount.tree.image_fd());
  });
}

void Write(Mount& mount, Reply& reply, fuse_ino_t, const char* bytes, size_t size, off_t offset,
           fuse_file_info* open) {
  if (offset < 0) return reply.Error(EINVAL);
  WithHandle(mount, reply, open, [&](Handle& handle) {
    uint64_t place = static_cast<uint64_t>(offset);
    // The kernel appends at the size that it last heard of; of a value it may be another by now.
    if (handle.is_value && (open->flags & O_APPEND) != 0) {
      const absl::StatusOr<Attributes> attributes = handle.file->Stat();
      if (!attributes.ok()) return reply.Failed(attributes.status());
      place = attributes->size;
    }
    const absl::Status status = handle.file->Write(place, absl::string_view(bytes, size));
    if (!status.ok()) return reply.Failed(status);
    handle.changed = true;
    reply.Written(size);
  });
}

void Flush(Mount& mount, Reply& reply, Handle& handle, absl::Status (OpenFile::*flush)()) {
  // Before: what is written meanwhile belongs to the next flush.
  const bool changed = handle.changed.exchange(false);
  const absl::Status status = ((*handle.file).*flush)();
  if (!status.ok() && changed) handle.changed = true;
  // Other files may be computed from a value, or be as long as it says.
  if (changed && handle.is_value) mount.files.ChangeOthers();
  Finish(reply, status);
}

void FlushFile(Mount& mount, Reply& reply, fuse_ino_t, fuse_file_info* open) {
  WithHandle(mount, reply, open, [&](Handle& handle) {
    if (!handle.writable) return reply.Done();
    Flush(mount, reply, handle, &OpenFile::Flush);
  });
}

void SyncFile(Mount& mount, Reply& reply, fuse_ino_t, int, fuse_file_info* open) {
  WithHandle(mount, reply, open,
             [&](Handle& handle) { Flush(mount, reply, handle, &OpenFile::Sync); });
}

void Seek(Mount& mount, Reply& reply, fuse_ino_t, off_t offset, int whence, fuse_file_info* open) {
  if (offset < 0) return reply.Error(ENXIO);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return reply.Error(EINVAL);
  WithHandle(mount, reply, open, [&](Handle& handle) {
    const uint64_t from = static_cast<uint64_t>(offset);
    const absl::StatusOr<uint64_t> found =
        whence == SEEK_DATA ? handle.file->SeekData(from) : handle.file->SeekHole(from);
    if (!found.ok()) return reply.Failed(found.status());
    reply.Offset(*found);
  });
}

void Allocate(Mount& mount, Reply& reply, fuse_ino_t, int mode, off_t offset, off_t length,
              fuse_file_info* open) {
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0) return reply.Error(EOPNOTSUPP);
  if (offset < 0 || length <= 0) return reply.Error(EINVAL);
  WithHandle(mount, reply, open, [&](Handle& handle) {
    const absl::Status status = handle.file->Allocate(
        static_cast<uint64_t>(offset), static_cast<uint64_t>(length),
        (mode & FALLOC_FL_PUNCH_HOLE) != 0, (mode & FALLOC_FL_KEEP_SIZE) != 0);
    if (status.ok()) handle.changed = true;
    Finish(reply, status);
  });
}

// --- directories and the whole ---

// Nothing is kept for it; but the kernel is to ask each time what there is.
void OpenDirectory(Mount&, Reply& reply, fuse_ino_t, fuse_file_info* open) { reply.Opened(*open); }
void ReleaseDirectory(Mount&, Reply& reply, fuse_ino_t, fuse_file_info*) { reply.Done(); }

void SyncDirectory(Mount& mount, Reply& reply, fuse_ino_t, int, fuse_file_info*) {
  Finish(reply, mount.tree.Sync());
}

void StatFs(Mount& mount, Reply& reply, fuse_ino_t) {
  const absl::StatusOr<EditableTree::Space> space = mount.tree.Measure();
  if (!space.ok()) return reply.Failed(space.status());
  constexpr uint64_t kBlock = 4096;
  struct statvfs numbers = {};
  numbers.f_bsize = kBlock;
  numbers.f_frsize = kBlock;
  numbers.f_blocks = space->bytes / kBlock;
  numbers.f_bfree = space->free / kBlock;
  numbers.f_bavail = space->available / kBlock;
  // Only the disk ends the number of files: as if each took a block.
  numbers.f_ffree = numbers.f_bfree;
  numbers.f_favail = numbers.f_bavail;
  numbers.f_files = space->objects + numbers.f_ffree;
  numbers.f_namemax = kMaxName;
  numbers.f_flag = ST_NOSUID | ST_NODEV;
  reply.FileSystem(numbers);
}

// --- extended attributes ---

bool HasXattrs(absl::string_view name) {
  return absl::StartsWith(name, "user.") || absl::StartsWith(name, "trusted.");
}

void GetXattr(Mount& mount, Reply& reply, fuse_ino_t inode, const char* name, size_t size) {
  // The kernel asks for security.capability before each write.
  if (!HasXattrs(name)) return reply.Error(ENODATA);
  if (inode == kRootInode && name == kDaemonXattr) {
    return reply.Xattr(absl::StrCat(::getpid()), size);
  }
  const absl::StatusOr<std::string> value = mount.tree.GetXattr(inode, name);
  if (!value.ok()) return reply.Failed(value.status(), &XattrErrnoOf);
  reply.Xattr(*value, size);
}

void SetXattr(Mount& mount, Reply& reply, fuse_ino_t inode, const char* name, const char* value,
              size_t size, int flags) {
  if (!HasXattrs(name)) return reply.Error(EOPNOTSUPP);
  const absl::Status status =
      mount.tree.SetXattr(inode, name, absl::string_view(value, size), flags);
  if (!status.ok()) return reply.Failed(status, &XattrErrnoOf);
  reply.Done();
}

void RemoveXattr(Mount& mount, Reply& reply, fuse_ino_t inode, const char* name) {
  if (!HasXattrs(name)) return reply.Error(ENODATA);
  const absl::Status status = mount.tree.RemoveXattr(inode, name);
  if (!status.ok()) return reply.Failed(status, &XattrErrnoOf);
  reply.Done();
}

// copy_file_range(2) is left out: without it the kernel copies by itself.
constexpr fuse_lowlevel_ops kOperations = {
    .init = Init,
    .lookup = Guarded<Lookup<Mount>>::Run,
    .getattr = Guarded<GetAttr>::Run,
    .setattr = Guarded<SetAttr>::Run,
    .readlink = Guarded<ReadLink<Mount>>::Run,
    .mknod = GuardedMaker<MakeNode>::Run,
    .mkdir = GuardedMaker<MakeDirectory>::Run,
    .unlink = Guarded<Unlink>::Run,
    .rmdir = Guarded<RemoveDirectory>::Run,
    .symlink = GuardedMaker<MakeLink>::Run,
    .rename = Guarded<Rename>::Run,
    .link = Guarded<HardLink>::Run,
    .open = Guarded<Open>::Run,
    .read = Guarded<Read>::Run,
    .write = Guarded<Write>::Run,
    .flush = Guarded<FlushFile>::Run,
    .release = Guarded<Release>::Run,
    .fsync = Guarded<SyncFile>::Run,
    .opendir = Guarded<OpenDirectory>::Run,
    .readdir = ReadDirectory<Mount, false>,
    .releasedir = Guarded<ReleaseDirectory>::Run,
    .fsyncdir = Guarded<SyncDirectory>::Run,
    .statfs = Guarded<StatFs>::Run,
    .setxattr = Guarded<SetXattr>::Run,
    .getxattr = Guarded<GetXattr>::Run,
    .listxattr = Guarded<ListXattr<Mount>>::Run,
    .removexattr = Guarded<RemoveXattr>::Run,
    .create = GuardedMaker<Create>::Run,
    .fallocate = Guarded<Allocate>::Run,
    .readdirplus = ReadDirectory<Mount, true>,
    .lseek = Guarded<Seek>::Run,
};

}  // namespace

Belief WritableMounted::Believe(Inode inode, Moment moment) const {
  if (tree.IsComputed(inode)) return {0, 0};
  return {kForever, files.IsUnsettled(inode, moment) ? 0 : kForever};
}

const fuse_lowlevel_ops& WritableOperations() { return kOperations; }

}  // namespace crfs
