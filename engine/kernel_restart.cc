// SPDX-License-Identifier: Apache-2.0
//
// The client of the module's restart (crfs/ioctl.h): hands it what it consumes, and has it put
// memory, registers and signal state in place of those of the tasks that joined.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "crfs/image.h"
#include "crfs/ioctl.h"
#include "crfs/schema.h"
#include "crfs/words.h"
#include "engine/device.h"
#include "engine/reopen_files.h"
#include "engine/restart_engine.h"
#include "engine/zeroed_memory.h"
#include "index/crc32c.h"
#include "index/loaded_checkpoint.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

constexpr absl::string_view kConsumed[] = {"mm",   "vma",    "sighand", "sigaction",
                                           "task", "signal", "thread",  "thread_signal"};
constexpr size_t kWriteStep = 4 << 20;

void AppendRecord(const ObjectView& object, std::string& out) {
  crfs_record record = {};
  record.type = object.type().tag;
  record.id = object.id();
  record.length = object.body().size();
  record.body_crc = Crc32c(object.body());
  const absl::string_view head(reinterpret_cast<const char*>(&record), sizeof(record));
  record.header_crc = Crc32c(head.substr(0, offsetof(crfs_record, header_crc)));
  absl::StrAppend(&out, head, object.body());
  out.resize((out.size() + 7) / 8 * 8);
}

absl::string_view ReasonOf(int error) {
  switch (error) {
    case EBADMSG:
      return "breaks a rule of the module, or refers to what is not there: undo what was changed";
    case EINVAL:
      return "holds a value that no program can have here: undo what was changed";
    case ENODATA:
      return "the file that its memory is read from is too short";
    case EIO:
      return "its memory cannot be read, as it or the disk is damaged: copy the image again";
    case EEXIST:
      return "lies where the kernel's own mappings stand: try again";
    case EACCES:
      return "may not be executed, or mapped so, by the restarted task";
    case ETXTBSY:
      return "is open for writing, and cannot be executed meanwhile";
    case EAGAIN:
      return "goes beyond the task's limit of locked memory or pending signals";
    case EPERM:
      return "needs a right that the task does not have";
    case EOPNOTSUPP:
      return "cannot be restarted on this kernel";
    case ESRCH:
      return "a task died while it was made";
    case ENOMEM:
      return "there is not enough memory";
    case ETIMEDOUT:
      return "did not come to a stand in time: try again";
    default:
      return "";
  }
}

class KernelRestart final : public RestartEngine {
 public:
  KernelRestart(const LoadedCheckpoint& checkpoint, UniqueFd fd)
      : checkpoint_(&checkpoint), fd_(std::move(fd)) {}

  absl::Status Load(ReopenedFiles& files) override;
  // Saved vdsos are left out where the kernel's own stands in their place.
  absl::Status Fill(const VdsoPlans& vdsos) override;
  Joining joining() override {
    return {.device = fd_.get(), .first_kept = fd_.get(), .last_kept = fd_.get(), .builders = {}};
  }
  absl::Status Gather(pid_t root) override;
  absl::Status Build() override;
  void Help() const override;
  absl::Status Start() override;

 private:
  absl::Status WriteRecords();
  absl::Status Supply(uint32_t type, uint64_t id, int file, const ObjectView& object,
                      absl::string_view field);
  absl::Status SupplyMapped(const ReopenedFiles& files);
  absl::Status FillMapping(const ObjectView& vma, const LoadedMemory& memory);
  absl::Status Step(unsigned long command, absl::string_view what);
  std::string Where(uint32_t type, uint64_t id) const;

  const LoadedCheckpoint* checkpoint_;
  UniqueFd fd_;
};

absl::Status KernelRestart::Load(ReopenedFiles& files) {
  if (absl::Status status = WriteRecords(); !status.ok()) return status;
  for (const uint64_t id : files.nameless_shmems()) {
    const ObjectView shmem = checkpoint_->Get("shmem", id);
    crfs_ioc_shmem argument = {
        .size = sizeof(argument), .flags = 0, .length = shmem.Number("size")};
    UniqueFd memory(::ioctl(fd_.get(), CRFS_IOC_SHMEM, &argument));
    if (!memory.valid()) {
      return absl::ErrnoToStatus(
          errno, absl::StrCat(checkpoint_->Where(shmem, "size"), ": cannot be made"));
    }
    if (absl::Status status = files.AddShmem(id, std::move(memory)); !status.ok()) return status;
  }
  if (absl::Status status = SupplyMapped(files); !status.ok()) return status;
  return files.FillShmems();
}

absl::Status KernelRestart::WriteRecords() {
  std::string bytes;
  const auto flush = [&]() -> absl::Status {
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t put = ::write(fd_.get(), bytes.data() + done, bytes.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put > 0) {
        done += static_cast<size_t>(put);
        continue;
      }
      const int error = put < 0 ? errno : EIO;
      crfs_record record;
      std::memcpy(&record, bytes.data() + done, sizeof(record));
      return absl::ErrnoToStatus(
          error, absl::StrCat(Where(record.type, record.id), ": ", ReasonOf(error)));
    }
    bytes.clear();
    return absl::OkStatus();
  };
  for (const absl::string_view type : kConsumed) {
    for (const uint64_t id : checkpoint_->Ids(type)) {
      AppendRecord(checkpoint_->Get(type, id), bytes);
      if (bytes.size() < kWriteStep) continue;
      if (absl::Status status = flush(); !status.ok()) return status;
    }
  }
  return flush();
}

absl::Status KernelRestart::Supply(uint32_t type, uint64_t id, int file, const ObjectView& object,
                                   absl::string_view field) {
  crfs_ioc_supply argument = {
      .size = sizeof(argument), .type = type, .id = id, .fd = file, .flags = 0};
  if (::ioctl(fd_.get(), CRFS_IOC_SUPPLY, &argument) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(
      errno, absl::StrCat(checkpoint_->Where(object, field), ": cannot be mapped from this file"));
}

absl::Status KernelRestart::SupplyMapped(const ReopenedFiles& files) {
  std::set<std::pair<uint32_t, uint64_t>> supplied;
  const auto supply = [&](const ObjectView& object, absl::string_view field, uint32_t type) {
    const uint64_t id = object.Number(field);
    if (id == 0 || !supplied.emplace(type, id).second) return absl::OkStatus();
    const int fd = type == CRFS_TAG_file ? files.FileOf(id) : files.ShmemOf(id);
    return Supply(type, id, fd, object, field);
  };
  for (const uint64_t id : checkpoint_->Ids("vma")) {
    const ObjectView vma = checkpoint_->Get("vma", id);
    const bool by_file = vma.Number("file") != 0;
    absl::Status status =
        by_file ? supply(vma, "file", CRFS_TAG_file) : supply(vma, "shmem", CRFS_TAG_shmem);
    if (!status.ok()) return status;
  }
  for (const uint64_t id : checkpoint_->Ids("mm")) {
    absl::Status status = supply(checkpoint_->Get("mm", id), "exe", CRFS_TAG_file);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status KernelRestart::Fill(const VdsoPlans& vdsos) {
  for (const uint64_t id : checkpoint_->Ids("vma")) {
    const ObjectView vma = checkpoint_->Get("vma", id);
    const uint64_t kind = vma.Number("kind");
    if (kind == CRFS_vma_kind_vvar) continue;
    if (kind == CRFS_vma_kind_vdso) {
      const int patched = vdsos.at(vma.OwnerId()).patched.get();
      if (patched < 0) continue;
      const uint64_t length = vma.Number("end") - vma.Number("start");
      absl::Status status =
          FillMapping(vma, {.fd = patched, .extents = {{0, length, 0}}, .file = nullptr});
      if (!status.ok()) return status;
      continue;
    }
    const absl::StatusOr<LoadedMemory> memory = checkpoint_->UnverifiedMemory(vma);
    if (!memory.ok()) return memory.status();
    absl::Status status = FillMapping(vma, *memory);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status KernelRestart::FillMapping(const ObjectView& vma, const LoadedMemory& memory) {
  std::vector<crfs_fill> ranges;
  const uint64_t start = vma.Number("start");
  for (const LoadedExtent& extent : memory.extents) {
    const bool in_image = extent.place == LoadedExtent::Place::kImage;
    ranges.push_back({.address = start + extent.offset,
                      .length = extent.length,
                      .offset = extent.file_offset,
                      .fd = in_image ? memory.image_fd : memory.fd,
                      .flags = 0});
  }
  const std::vector<crfs_extent> zeroed = ZeroedRanges(vma, memory);
  UniqueFd zeros;  // the module takes a reference
  if (!zeroed.empty()) {
    absl::StatusOr<UniqueFd> made = MakeZeros(vma.Number("end") - start);
    if (!made.ok()) return made.status();
    zeros = *std::move(made);
  }
  for (const auto& [offset, length] : zeroed) {
    ranges.push_back(
        {.address = start + offset, .length = length, .offset = 0, .fd = zeros.get(), .flags = 0});
  }
  std::ranges::sort(ranges, {}, &crfs_fill::address);
  for (size_t begin = 0; begin < ranges.size(); begin += CRFS_FILL_MAX) {
    crfs_ioc_fill argument = {};
    argument.size = sizeof(argument);
    argument.mm = vma.OwnerId();
    argument.ranges = reinterpret_cast<uintptr_t>(&ranges[begin]);
    argument.count = static_cast<uint32_t>(std::min<size_t>(ranges.size() - begin, CRFS_FILL_MAX));
    if (::ioctl(fd_.get(), CRFS_IOC_FILL, &argument) != 0) {
      return absl::ErrnoToStatus(
          errno, absl::StrCat(checkpoint_->Where(vma, "pages"), ": cannot be restored"));
    }
  }
  return absl::OkStatus();
}

std::string KernelRestart::Where(uint32_t type, uint64_t id) const {
  const ObjectType* const object = FindType(type);
  if (object == nullptr || !checkpoint_->Has(*object, id)) return checkpoint_->path();
  return checkpoint_->Where(checkpoint_->Get(*object, id));
}

absl::Status KernelRestart::Step(unsigned long command, absl::string_view what) {
  crfs_ioc_step step = {};
  step.size = sizeof(step);
  // A slow machine takes its time; a task that never comes is found all the same.
  step.timeout_ms = command == CRFS_IOC_BUILD ? 0 : 60'000;
  while (::ioctl(fd_.get(), command, &step) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    const std::string detail =
        step.detail == 0 ? "" : absl::StrFormat(" (at 0x%x)", static_cast<uint64_t>(step.detail));
    const absl::string_view reason = ReasonOf(error);
    return absl::ErrnoToStatus(error, absl::StrCat(Where(step.type, step.id), ": ",
                                                   reason.empty() ? what : reason, detail));
  }
  return absl::OkStatus();
}

absl::Status KernelRestart::Gather(pid_t /*root*/) {
  return Step(CRFS_IOC_GATHER, "tasks cannot be gathered");
}
absl::Status KernelRestart::Build() { return Step(CRFS_IOC_BUILD, "cannot be rebuilt"); }

void KernelRestart::Help() const {
  crfs_ioc_help help = {.size = sizeof(help), .flags = 0};
  while (::ioctl(fd_.get(), CRFS_IOC_HELP, &help) != 0 && errno == EINTR) {
  }
}

absl::Status KernelRestart::Start() { return Step(CRFS_IOC_START, "tasks cannot be started"); }

}  // namespace

absl::StatusOr<std::unique_ptr<RestartEngine>> RestartByKernel(const LoadedCheckpoint& checkpoint,
                                                               const ReopenedFiles& files) {
  absl::StatusOr<UniqueFd> fd = OpenRestart();
  if (!fd.ok()) return fd.status();
  UniqueFd high(::fcntl(fd->get(), F_DUPFD_CLOEXEC, files.floor()));
  if (!high.valid()) return absl::ErrnoToStatus(errno, "a restart's descriptor");
  return std::make_unique<KernelRestart>(checkpoint, std::move(high));
}

}  // namespace crfs
