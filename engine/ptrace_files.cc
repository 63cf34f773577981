// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/mapped_files.h"
#include "engine/proc_file.h"

namespace crfs {
namespace {

constexpr int kGetSignal = 11;   // F_GETSIG
constexpr int kGetSeals = 1034;  // F_GET_SEALS

absl::StatusOr<std::vector<int>> ListDescriptors(pid_t pid) {
  const std::string path = ProcPath(pid, "fd");
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  }
  std::vector<int> descriptors;
  while (const dirent* entry = ::readdir(folder.get())) {
    int fd;
    if (absl::SimpleAtoi(entry->d_name, &fd)) descriptors.push_back(fd);
  }
  std::sort(descriptors.begin(), descriptors.end());
  return descriptors;
}

// Whom SIGIO goes to, a process or minus a group (F_SETOWN_EX, fcntl(2)).
int OwnerOf(int fd) {
  f_owner_ex owner = {};
  if (::fcntl(fd, F_GETOWN_EX, &owner) != 0) return 0;
  return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
}

}  // namespace

FileTable::FileTable(Snapshot& snapshot) : snapshot_(snapshot) {}

absl::StatusOr<const std::vector<FileTable::OpenDescriptor>*> FileTable::Descriptors(pid_t pid) {
  const auto [found, added] = open_.try_emplace(pid);
  if (!added) return &found->second;
  const absl::StatusOr<std::vector<int>> numbers = ListDescriptors(pid);
  if (!numbers.ok()) return numbers.status();
  for (const int fd : *numbers) {
    absl::StatusOr<DescribedFile> file = inodes_.Descriptor(pid, fd);
    if (!file.ok()) return file.status();
    found->second.push_back({fd, *std::move(file)});
  }
  return &found->second;
}

absl::StatusOr<UniqueFd> FileTable::Copy(pid_t pid, int fd) {
  if (process_pid_ != pid) {
    process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    // Of a thread that is not the first of its task.
    constexpr int kPidfdThread = O_EXCL;  // PIDFD_THREAD, Linux 6.9
    if (!process_.valid()) {
      process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, kPidfdThread)));
    }
    process_pid_ = pid;
  }
  UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process_.get(), fd, 0)));
  if (copy.valid()) return copy;
  return absl::ErrnoToStatus(errno,
                             absl::StrCat("task ", pid, ", descriptor ", fd, ": cannot be copied"));
}

absl::StatusOr<uint64_t> FileTable::Add(const DescribedFile& file, uint64_t pipe, uint64_t shmem,
                                        int owner_signal, int owner_pid) {
  ObjectBuilder object(*FindType("file"));
  file.Fill(object);
  object.SetNumber("pipe", pipe)
      .SetNumber("shmem", shmem)
      .SetNumber("owner_signal", static_cast<uint64_t>(owner_signal))
      .SetNumber("owner_pid", static_cast<uint64_t>(static_cast<int64_t>(owner_pid)));
  return snapshot_.Add(object);
}

absl::StatusOr<uint64_t> FileTable::Descriptor(pid_t pid, const OpenDescriptor& descriptor) {
  const absl::StatusOr<uint64_t> known = descriptions_.Find(pid, descriptor.fd);
  if (!known.ok() || *known != 0) return known;
  const DescribedFile& file = descriptor.file;
  uint64_t pipe = 0, shmem = 0;
  int owner_signal = 0, owner_pid = 0;
  if ((file.flags & O_PATH) == 0) {
    const absl::StatusOr<UniqueFd> copy = Copy(pid, descriptor.fd);
    if (!copy.ok()) return copy.status();
    owner_signal = std::max(::fcntl(copy->get(), kGetSignal), 0);
    owner_pid = OwnerOf(copy->get());
    if (S_ISFIFO(file.mode)) {
      const absl::StatusOr<uint64_t> id = FindPipe(file, *copy);
      if (!id.ok()) return id;
      pipe = *id;
    }
  }
  if (file.kind == CRFS_file_kind_shmem) {
    const absl::StatusOr<uint64_t> id =
        FindShmem(file, ProcPath(pid, absl::StrCat("fd/", descriptor.fd)));
    if (!id.ok()) return id;
    shmem = *id;
  }
  const absl::StatusOr<uint64_t> id = Add(file, pipe, shmem, owner_signal, owner_pid);
  if (!id.ok()) return id;
  if (absl::Status status = descriptions_.Add(pid, descriptor.fd, *id); !status.ok()) {
    return status;
  }
  return id;
}

absl::StatusOr<uint64_t> FileTable::FindPipe(const DescribedFile& file, const UniqueFd& copy) {
  const auto [found, added] = pipes_.try_emplace({file.dev, file.inode});
  if (!added) return found->second.id;
  const int capacity = ::fcntl(copy.get(), F_GETPIPE_SZ);
  if (capacity < 0) return absl::ErrnoToStatus(errno, absl::StrCat(file.link, ": F_GETPIPE_SZ"));
  ObjectBuilder object(*FindType("pipe"));
  object.SetNumber("inode", file.inode).SetNumber("capacity", static_cast<uint64_t>(capacity));
  const absl::StatusOr<uint64_t> id = snapshot_.Add(object);
  if (!id.ok()) return id;
  found->second.id = *id;
  found->second.end.reset(::fcntl(copy.get(), F_DUPFD_CLOEXEC, 0));
  return id;
}

absl::StatusOr<uint64_t> FileTable::FindShmem(const DescribedFile& file, const std::string& link) {
  const auto [found, added] = shmem_ids_.try_emplace({file.dev, file.inode}, 0);
  if (!added) return found->second;
  // A description of its own: looking for holes moves the position of the task's.
  UniqueFd own(::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NOATIME));
  if (!own.valid()) own.reset(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat stat = {};
  if (!own.valid() || ::fstat(own.get(), &stat) != 0) {
    if (errno == EPERM || errno == EACCES) {
      return absl::PermissionDeniedError(absl::StrCat(
          link, ": shared memory without a descriptor takes CAP_CHECKPOINT_RESTORE to read: ",
          "run crfs as root"));
    }
    return absl::ErrnoToStatus(errno, absl::StrCat(link, ": cannot be opened"));
  }
  ObjectBuilder object(*FindType("shmem"));
  object.SetNumber("inode", file.inode)
      .SetNumber("dev", file.dev)
      .SetNumber("size", static_cast<uint64_t>(stat.st_size))
      .SetNumber("seals", static_cast<uint64_t>(std::max(::fcntl(own.get(), kGetSeals), 0)))
      .SetNumber("sysv", absl::StartsWith(file.link, "/SYSV") ? 1 : 0)
      .SetBytes("name", file.link);
  const absl::StatusOr<uint64_t> id = snapshot_.Add(object);
  if (!id.ok()) return id;
  found->second = *id;
  shmems_.push_back(std::move(own));
  return id;
}

std::string FileTable::LinkTo(pid_t pid, const DescribedFile& file, const std::string& mapped) {
  for (const OpenDescriptor& descriptor : open_[pid]) {
    const DescribedFile& other = descriptor.file;
    if (other.inode == file.inode && other.dev == file.dev && (other.flags & O_PATH) == 0) {
      return ProcPath(pid, absl::StrCat("fd/", descriptor.fd));
    }
  }
  return mapped;
}

absl::StatusOr<FileTable::MappedIds> FileTable::Mapped(pid_t pid, const Mapping& mapping) {
  const std::string link =
      ProcPath(pid, absl::StrFormat("map_files/%x-%x", mapping.start, mapping.end));
  const bool writes = IsOpenToWrite(link);
  const auto [found, added] =
      mapped_.try_emplace({mapping.dev, mapping.inode, mapping.name, writes});
  if (!added) return found->second;
  absl::StatusOr<DescribedFile> file =
      inodes_.Mapping(pid, link, mapping.dev, mapping.inode, mapping.name);
  if (!file.ok()) return file.status();
  file->flags |= writes ? O_RDWR : O_RDONLY;
  MappedIds& ids = found->second;
  ids.kind = file->kind;
  if (file->kind == CRFS_file_kind_shmem) {
    if (const auto open = Descriptors(pid); !open.ok()) return open.status();
    const absl::StatusOr<uint64_t> id = FindShmem(*file, LinkTo(pid, *file, link));
    if (!id.ok()) return id.status();
    ids.shmem = *id;
    if (!absl::StartsWith(file->link, "/memfd:")) return ids;
  }
  const absl::StatusOr<uint64_t> id = Add(*file, 0, ids.shmem, 0, 0);
  if (!id.ok()) return id.status();
  ids.file = *id;
  return ids;
}

absl::StatusOr<uint64_t> FileTable::Program(pid_t pid) {
  absl::StatusOr<DescribedFile> file = inodes_.Link(pid, "exe");
  if (absl::IsNotFound(file.status())) return 0;  // a task without a program
  if (!file.ok()) return file.status();
  file->flags = kLargeFile;  // as the kernel opens programs
  return Add(*file, 0, 0, 0, 0);
}

absl::StatusOr<uint64_t> FileTable::Path(pid_t pid, absl::string_view name) {
  absl::StatusOr<DescribedFile> file = inodes_.Link(pid, name);
  if (!file.ok()) return file.status();
  const auto [found, added] = paths_.try_emplace({file->link, file->dev, file->inode}, 0);
  if (!added) return found->second;
  file->kind = CRFS_file_kind_path;
  const absl::StatusOr<uint64_t> id = Add(*file, 0, 0, 0, 0);
  if (id.ok()) found->second = *id;
  return id;
}

// How many ends there are outside cannot be told, but whether there is one: each end hangs up when
// the last of the other kind is closed.
absl::Status FileTable::Finish() {
  std::vector<uint32_t> readers(pipes_.size()), writers(pipes_.size());
  snapshot_.ForEach("file", [&](const ObjectView& file) {
    const uint64_t pipe = file.Number("pipe");
    if (pipe == 0) return;
    const uint64_t access = file.Number("flags") & O_ACCMODE;
    if (access != O_WRONLY) ++readers[pipe - 1];
    if (access != O_RDONLY) ++writers[pipe - 1];
  });
  for (const auto& [key, pipe] : pipes_) {
    pollfd end = {pipe.end.get(), 0, 0};
    ::poll(&end, 1, 0);
    uint32_t& reads = readers[pipe.id - 1];
    uint32_t& writes = writers[pipe.id - 1];
    if (writes == 0 && (end.revents & POLLHUP) == 0) writes = 1;
    if (reads == 0 && (end.revents & POLLERR) == 0) reads = 1;
    ObjectBuilder object(snapshot_.Get("pipe", pipe.id));
    object.SetNumber("readers", reads).SetNumber("writers", writes);
    if (absl::Status status = snapshot_.Replace(pipe.id, object); !status.ok()) return status;
  }
  pipes_.clear();  // what it holds keeps ends open
  return absl::OkStatus();
}

}  // namespace crfs
