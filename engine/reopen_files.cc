// SPDX-License-Identifier: Apache-2.0

#include "engine/reopen_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/restart_given.h"
#include "engine/terminal.h"

namespace crfs {
namespace {

// What open(2) takes of the flags that F_GETFL showed, besides the access mode.
constexpr int kOpenFlags = O_APPEND | O_DSYNC | O_SYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY |
                           O_NOFOLLOW | O_NOATIME | O_PATH;
// What is set when it is open: an open itself is never to wait.
constexpr int kLaterFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

// What the kernel calls O_LARGEFILE; the C library's is 0.
constexpr int kLargeFile = 0100000;

std::string OwnPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

int FlagsOf(const ObjectView& file) { return static_cast<int>(file.Number("flags")); }

}  // namespace

absl::Status ReopenedFiles::Failed(const ObjectView& object, absl::string_view field,
                                   int error) const {
  const bool mine = error == EMFILE;
  return absl::ErrnoToStatus(
      error, absl::StrCat(checkpoint_.Where(object, field), ": cannot be opened again",
                          mine ? " (raise the hard limit of open files, ulimit -Hn)" : ""));
}

// All that is opened stays out of the way of the numbers that tasks use.
absl::StatusOr<UniqueFd> ReopenedFiles::Raise(UniqueFd fd) const {
  if (fd.get() >= floor_) return fd;
  return Duplicate(fd.get());
}

absl::StatusOr<UniqueFd> ReopenedFiles::Duplicate(int fd) const {
  UniqueFd high(::fcntl(fd, F_DUPFD_CLOEXEC, floor_));
  if (!high.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("descriptor ", fd, ": cannot be duplicated"));
  }
  return high;
}

absl::Status ReopenedFiles::FindFloor(const RestartOptions& options) {
  floor_ = 3;
  for (const uint64_t id : checkpoint_.Ids("fd")) {
    floor_ = std::max(floor_, static_cast<int>(checkpoint_.Get("fd", id).Number("fd")) + 1);
  }
  for (const GivenFd& given : options.fds) floor_ = std::max(floor_, given.number + 1);
  for (const Inherited& given : checkpoint_.inherited()) {
    floor_ = std::max(floor_, given.number + 1);
  }
  // Tasks get the limits of the checkpoint later.
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return absl::OkStatus();
}

bool ReopenedFiles::IsOfUsedFile(absl::string_view field, uint64_t id) const {
  return std::ranges::any_of(
      used_, [&](uint64_t file) { return checkpoint_.Get("file", file).Number(field) == id; });
}

absl::Status ReopenedFiles::Open(const RestartOptions& options) {
  used_ = FilesInUse(checkpoint_);
  for (auto step : {&ReopenedFiles::FindFloor, &ReopenedFiles::TakeGiven}) {
    if (absl::Status status = (this->*step)(options); !status.ok()) return status;
  }
  for (auto step : {&ReopenedFiles::OpenPipes, &ReopenedFiles::OpenShmems}) {
    if (absl::Status status = (this->*step)(); !status.ok()) return status;
  }
  for (const uint64_t id : used_) {
    if (files_.contains(id)) continue;
    if (absl::Status status = OpenFile(checkpoint_.Get("file", id)); !status.ok()) return status;
  }
  pipes_.clear();
  return absl::OkStatus();
}

absl::Status ReopenedFiles::TakeGiven(const RestartOptions& options) {
  for (const Inherited& given : checkpoint_.inherited()) {
    absl::StatusOr<UniqueFd> fd = Duplicate(given.number);
    if (!fd.ok()) return fd.status();
    inherited_[given.fd_id] = *std::move(fd);
  }
  for (const GivenFd& given : options.fds) {
    const std::optional<ObjectView> fd = FindGivenFd(checkpoint_, given);
    if (!fd.has_value()) continue;
    if (fd->Number("file") != 0 && fd->Number("excluded") == 0) continue;  // see GivenFiles
    absl::StatusOr<UniqueFd> own = Duplicate(given.number);
    if (!own.ok()) return own.status();
    inherited_[fd->id()] = *std::move(own);
  }
  for (const auto& [file, number] : GivenFiles(checkpoint_, options)) {
    absl::StatusOr<UniqueFd> own = Duplicate(number);
    if (!own.ok()) return own.status();
    files_[file] = *std::move(own);
  }
  return absl::OkStatus();
}

bool ReopenedFiles::IsClosed(const ObjectView& fd) const {
  return fd.Number("excluded") != 0 && !inherited_.contains(fd.id());
}

int ReopenedFiles::DescriptorOf(const ObjectView& fd) const {
  const auto given = inherited_.find(fd.id());
  return given != inherited_.end() ? given->second.get() : FileOf(fd.Number("file"));
}

absl::Status ReopenedFiles::OpenFile(const ObjectView& file) {
  absl::StatusOr<UniqueFd> fd = OpenKind(file);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<UniqueFd> high = Raise(*std::move(fd));
  if (!high.ok()) return high.status();
  files_[file.id()] = *std::move(high);
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ReopenedFiles::OpenKind(const ObjectView& file) {
  const int flags = FlagsOf(file);
  switch (file.Number("kind")) {
    case CRFS_file_kind_pipe:
      return OpenEnd(file, flags);
    case CRFS_file_kind_shmem: {
      const int memory = ShmemOf(file.Number("shmem"));
      UniqueFd fd(::open(OwnPath(memory).c_str(), (flags & (O_ACCMODE | kOpenFlags)) | O_CLOEXEC));
      if (!fd.valid()) return Failed(file, "flags", errno);
      ::lseek(fd.get(), static_cast<off_t>(file.Number("pos")), SEEK_SET);
      return fd;
    }
    case CRFS_file_kind_tty:
      return OpenTerminal(file, flags);
    default:
      return OpenPath(file, flags);
  }
}

absl::StatusOr<UniqueFd> ReopenedFiles::OpenPath(const ObjectView& file, int flags) {
  const std::string path(file.Bytes("path"));
  UniqueFd fd(
      ::open(path.c_str(), (flags & (O_ACCMODE | kOpenFlags)) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return Failed(file, "path", errno);
  if ((flags & O_PATH) != 0) return fd;
  if (::fcntl(fd.get(), F_SETFL, flags & kLaterFlags) != 0) return Failed(file, "flags", errno);
  const off_t pos = static_cast<off_t>(file.Number("pos"));
  const uint64_t kind = file.Number("kind");
  const bool has_position = kind == CRFS_file_kind_regular || kind == CRFS_file_kind_directory ||
                            kind == CRFS_file_kind_chardev;
  if (has_position && pos != 0 && ::lseek(fd.get(), pos, SEEK_SET) != pos) {
    return Failed(file, "pos", errno);
  }
  return fd;
}

// The caller's terminal stands for that of the program, which may be gone.
absl::StatusOr<UniqueFd> ReopenedFiles::OpenTerminal(const ObjectView& file, int flags) {
  UniqueFd fd = OpenControllingTerminal(flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));
  if (fd.valid()) return fd;
  return absl::FailedPreconditionError(
      absl::StrCat(checkpoint_.Where(file, "path"),
                   ": is a terminal, and crfs has none: run it on one, or give "
                   "a descriptor in its place (--fd)"));
}

// --- pipes ---

absl::Status ReopenedFiles::OpenPipes() {
  for (const uint64_t id : checkpoint_.Ids("pipe")) {
    if (!IsOfUsedFile("pipe", id)) continue;
    if (absl::Status status = OpenPipe(checkpoint_.Get("pipe", id)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// A description of its own: whoever shares one shares its `file` object. pipe(2) gave the first
// of each end, which is not O_LARGEFILE; others come from opens, which make it so.
absl::StatusOr<UniqueFd> ReopenedFiles::OpenEnd(const ObjectView& file, int flags) {
  auto& [reader, writer] = pipes_.at(file.Number("pipe"));
  const int mode = flags & O_ACCMODE;
  PipeEnd& end = mode == O_RDONLY ? reader : writer;
  const bool made = mode != O_RDWR && (flags & kLargeFile) == 0 && !std::exchange(end.given, true);
  absl::StatusOr<UniqueFd> fd =
      made ? Duplicate(end.fd.get())
           : UniqueFd(::open(OwnPath(end.fd.get()).c_str(), mode | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok()) return fd;
  if (!fd->valid()) return Failed(file, "pipe", errno);
  if (::fcntl(fd->get(), F_SETFL, flags & kLaterFlags) != 0) return Failed(file, "flags", errno);
  return fd;
}

// The ends are kept until all files are open, so that no open of a fifo waits for the other end.
absl::Status ReopenedFiles::OpenPipe(const ObjectView& pipe) {
  std::string fifo;
  for (const uint64_t id : used_) {
    const ObjectView file = checkpoint_.Get("file", id);
    if (file.Number("pipe") == pipe.id() && file.Number("kind") == CRFS_file_kind_fifo) {
      fifo = std::string(file.Bytes("path"));
    }
  }
  int ends[2];
  if (!fifo.empty()) {
    ends[0] = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ends[1] = ends[0] < 0 ? -1 : ::fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    if (ends[1] < 0) return Failed(pipe, "data", errno);
  } else if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
    return Failed(pipe, "data", errno);
  }
  UniqueFd reader(ends[0]), writer(ends[1]);
  const uint64_t capacity = pipe.Number("capacity");
  if (capacity != 0 && ::fcntl(writer.get(), F_SETPIPE_SZ, capacity) < 0) {
    return Failed(pipe, "capacity", errno);
  }
  if (absl::Status status = FillPipe(pipe, writer.get()); !status.ok()) return status;
  absl::StatusOr<UniqueFd> high_reader = Raise(std::move(reader));
  absl::StatusOr<UniqueFd> high_writer = Raise(std::move(writer));
  if (!high_reader.ok()) return high_reader.status();
  if (!high_writer.ok()) return high_writer.status();
  pipes_.emplace(pipe.id(),
                 Pipe{.reader = {*std::move(high_reader)}, .writer = {*std::move(high_writer)}});
  return absl::OkStatus();
}

absl::Status ReopenedFiles::FillPipe(const ObjectView& pipe, int writer) {
  absl::string_view data = pipe.Bytes("data");
  const absl::string_view packets = pipe.Bytes("packets");
  const auto write_all = [&](size_t length) {
    while (length > 0) {
      const ssize_t written = ::write(writer, data.data(), std::min(length, data.size()));
      if (written <= 0) return false;
      data.remove_prefix(static_cast<size_t>(written));
      length -= static_cast<size_t>(written);
    }
    return true;
  };
  const int flags = ::fcntl(writer, F_GETFL);
  if (!packets.empty()) ::fcntl(writer, F_SETFL, flags | O_DIRECT);
  for (size_t i = 0; i + sizeof(uint32_t) <= packets.size(); i += sizeof(uint32_t)) {
    uint32_t length;
    std::memcpy(&length, packets.data() + i, sizeof(length));
    if (length > data.size() || !write_all(length)) return Failed(pipe, "packets", EINVAL);
  }
  if (!packets.empty()) ::fcntl(writer, F_SETFL, flags);
  if (!write_all(data.size())) {
    return absl::FailedPreconditionError(absl::StrCat(checkpoint_.Where(pipe, "data"),
                                                      ": is more than the pipe holds: make its "
                                                      "capacity larger, or this shorter"));
  }
  return absl::OkStatus();
}

}  // namespace crfs
