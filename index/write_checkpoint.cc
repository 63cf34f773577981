// SPDX-License-Identifier: Apache-2.0

#include <sys/stat.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "index/byte_stream.h"
#include "index/data_copy.h"
#include "index/image_reader.h"
#include "index/image_writer.h"
#include "index/loaded_state.h"

namespace crfs {
namespace {

// Whether its parts can be written in any order. Standard output may be shared, or be added
// to what there is.
bool IsSeekable(const std::string& output, const NewFile& file) {
  struct stat status;
  return output != "-" && ::fstat(file.fd(), &status) == 0 && S_ISREG(status.st_mode);
}

absl::Status WriteRecords(const LoadedCheckpoint::State& state, ImageWriter& writer) {
  for (const LoadedObjects& objects : state.objects) {
    for (const ObjectView& object : objects.views) {
      const absl::Status status = writer.Object(object.type(), object.id(), object.body());
      if (!status.ok()) return status;
    }
  }
  for (const auto& [owner, memory] : state.memory) {
    for (const LoadedExtent& extent : memory.extents) {
      const crfs_extent one{.offset = extent.offset, .length = extent.length};
      const absl::Status status = writer.Extents(owner.first, owner.second, std::span(&one, 1));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status WriteInPlace(const LoadedCheckpoint::State& state, ImageWriter& writer, int fd,
                          const CopyProgress& progress) {
  const absl::StatusOr<uint64_t> begin = writer.BeginData();
  if (!begin.ok()) return begin.status();
  auto checksums = CopyInPlace(LoadedData(&state), fd, *begin, DiskWrites::kAtOnce, progress);
  if (!checksums.ok()) return checksums.status();
  return writer.DataInPlace(*std::move(checksums));
}

absl::Status WriteAll(const LoadedCheckpoint::State& state, const std::string& output,
                      const CopyProgress& progress) {
  absl::StatusOr<NewFile> file = NewFile::Create(output);
  if (!file.ok()) return file.status();
  ImageWriter writer(&*file);
  if (absl::Status status = WriteRecords(state, writer); !status.ok()) return status;
  const absl::Status copied = IsSeekable(output, *file)
                                  ? WriteInPlace(state, writer, file->fd(), progress)
                                  : CopyInOrder(LoadedData(&state), writer, progress);
  if (!copied.ok()) return copied;
  if (absl::Status status = writer.Finish(); !status.ok()) return status;
  return file->Commit();
}

}  // namespace

absl::Status WriteCheckpoint(const LoadedCheckpoint& checkpoint, const std::string& output,
                             const LoadedCheckpoint::Progress& progress) {
  if (!checkpoint.inherited().empty()) {
    const Inherited& first = checkpoint.inherited().front();
    return absl::FailedPreconditionError(
        absl::StrCat(checkpoint.Where(checkpoint.Get("fd", first.fd_id), "file"),
                     ": an image cannot say that this is descriptor ", first.number,
                     " of whoever restarts it: restart the tree itself, or link to a file"));
  }
  const absl::Status status = WriteAll(checkpoint.state(), output, progress);
  // What cannot be read names itself; what cannot be written is the output.
  if (absl::StartsWith(status.message(), checkpoint.path())) return status;
  return WithPath(status, output == "-" ? "standard output" : output);
}

}  // namespace crfs
