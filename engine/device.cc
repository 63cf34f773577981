// SPDX-License-Identifier: Apache-2.0

#include "engine/device.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "crfs/ioctl.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

absl::Status OpenError(int error) {
  const std::string text = absl::StrCat(CRFS_DEVICE_PATH, ": ");
  if (error == ENOENT || error == ENXIO || error == ENODEV) {
    return absl::NotFoundError(
        absl::StrCat(text, "there is no such device: load the module (modprobe crfs)"));
  }
  if (error == EACCES || error == EPERM) {
    return absl::PermissionDeniedError(
        absl::StrCat(text, "permission denied: ask for access to the device"));
  }
  return absl::ErrnoToStatus(error, absl::StrCat(text, "cannot be opened"));
}

absl::Status FreezeError(int error, pid_t pid, uint32_t tid) {
  const std::string text = absl::StrCat("task ", pid, ": ");
  switch (error) {
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(text, "you may not ptrace it: run crfs as its user or as root (ptrace(2))"));
    case ESRCH:
      return absl::NotFoundError(absl::StrCat(text, "there is no such process"));
    case EINVAL:
      return absl::InvalidArgumentError(
          absl::StrCat(text, "is a kernel thread, which has nothing to checkpoint"));
    case EALREADY:
      return absl::AlreadyExistsError(absl::StrCat(text, "is frozen already"));
    case EBUSY:
      return absl::UnavailableError(
          absl::StrCat(text, "is being checkpointed by somebody else: try again later"));
    case ETIMEDOUT:
      return absl::DeadlineExceededError(absl::StrCat(
          text, "thread ", tid, " sleeps in the kernel and cannot be frozen: see /proc/", tid,
          "/stack and try again when it has gone on"));
    case EDEADLK:
      return absl::InvalidArgumentError(
          absl::StrCat(text, "is crfs itself, which cannot freeze itself"));
    case EOPNOTSUPP:
      return absl::UnimplementedError(absl::StrCat(
          text, "thread ", tid, " is not an x86-64 one: only 64-bit programs can be checkpointed"));
    default:
      return absl::ErrnoToStatus(error, absl::StrCat(text, "cannot be frozen"));
  }
}

absl::StatusOr<UniqueFd> OpenDevice(uint64_t feature) {
  UniqueFd device(::open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  if (!device.valid()) return OpenError(errno);
  crfs_ioc_query query = {};
  query.size = sizeof(query);
  if (::ioctl(device.get(), CRFS_IOC_QUERY, &query) < 0) return OpenError(errno);
  if (query.format != CRFS_FORMAT_VERSION || (query.features & feature) == 0) {
    return absl::UnimplementedError(
        absl::StrCat(CRFS_DEVICE_PATH, ": the loaded module is of format ", query.format,
                     ", this crfs needs ", CRFS_FORMAT_VERSION, ": load the module of this crfs"));
  }
  return device;
}

}  // namespace

absl::StatusOr<KernelCheckpoint> KernelCheckpoint::Open() {
  absl::StatusOr<UniqueFd> device = OpenDevice(CRFS_FEATURE_CAPTURE);
  if (!device.ok()) return device.status();
  crfs_ioc_checkpoint argument = {};
  argument.size = sizeof(argument);
  UniqueFd fd(::ioctl(device->get(), CRFS_IOC_CHECKPOINT, &argument));
  if (!fd.valid()) return OpenError(errno);
  return KernelCheckpoint(std::move(fd));
}

absl::StatusOr<UniqueFd> OpenRestart() {
  absl::StatusOr<UniqueFd> device = OpenDevice(CRFS_FEATURE_RESTART);
  if (!device.ok()) return device.status();
  crfs_ioc_restart argument = {};
  argument.size = sizeof(argument);
  UniqueFd fd(::ioctl(device->get(), CRFS_IOC_RESTART, &argument));
  if (!fd.valid()) return OpenError(errno);
  return fd;
}

absl::Status KernelCheckpoint::Freeze(pid_t pid, int mem_fd) {
  crfs_ioc_freeze argument = {};
  argument.size = sizeof(argument);
  argument.pid = static_cast<uint32_t>(pid);
  argument.mem_fd = mem_fd;
  if (::ioctl(fd_.get(), CRFS_IOC_FREEZE, &argument) < 0) {
    return FreezeError(errno, pid, argument.tid);
  }
  return absl::OkStatus();
}

absl::StatusOr<KernelCheckpoint::Captured> KernelCheckpoint::Capture() {
  crfs_ioc_capture argument = {};
  argument.size = sizeof(argument);
  if (::ioctl(fd_.get(), CRFS_IOC_CAPTURE, &argument) < 0) {
    const int error = errno;
    const std::string text = absl::StrCat("task ", argument.pid, ": ");
    if (error == ESRCH) return absl::NotFoundError(absl::StrCat(text, "died while it was frozen"));
    return absl::ErrnoToStatus(error, absl::StrCat(text, "its state cannot be captured"));
  }
  return Captured{argument.records, argument.bytes, argument.memory};
}

absl::StatusOr<UniqueFd> KernelCheckpoint::OpenMemory(uint32_t owner_type,
                                                      uint64_t owner_id) const {
  crfs_ioc_memory argument = {};
  argument.size = sizeof(argument);
  argument.owner_type = owner_type;
  argument.owner_id = owner_id;
  UniqueFd fd(::ioctl(fd_.get(), CRFS_IOC_MEMORY, &argument));
  if (!fd.valid())
    return absl::ErrnoToStatus(errno, "the memory of a frozen task cannot be opened");
  return fd;
}

absl::StatusOr<uint64_t> KernelCheckpoint::Thaw() {
  crfs_ioc_thaw argument = {};
  argument.size = sizeof(argument);
  if (::ioctl(fd_.get(), CRFS_IOC_THAW, &argument) < 0) {
    return absl::ErrnoToStatus(errno, "the tasks cannot be thawed");
  }
  return argument.frozen_ns;
}

}  // namespace crfs
