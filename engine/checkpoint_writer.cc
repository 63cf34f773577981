// SPDX-License-Identifier: Apache-2.0

#include "engine/checkpoint_writer.h"

#include <span>

#include "index/image_writer.h"
#include "index/schema.h"

namespace crfs {
namespace {

// Only learns how long the metadata is.
class NullSink : public ByteSink {
 public:
  absl::Status Write(absl::string_view) override { return absl::OkStatus(); }
};

absl::Status WriteRecords(const Snapshot& snapshot, ImageWriter& writer) {
  for (const ObjectType& type : ObjectTypes()) {
    for (uint64_t id = 1; id <= snapshot.Count(type); ++id) {
      const absl::Status status = writer.Object(type, id, snapshot.Get(type, id).body());
      if (!status.ok()) return status;
    }
  }
  for (const OwnedExtent& owned : snapshot.extents()) {
    const absl::Status status =
        writer.Extents(owned.owner_type, owned.owner_id, std::span(&owned.extent, 1));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> WriteMemory(const Snapshot& snapshot,
                                                  const MemorySource& memory, const NewFile& file,
                                                  DiskWrites when, const CopyProgress& progress) {
  NullSink sink;
  ImageWriter writer(&sink);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  const absl::StatusOr<uint64_t> begin = writer.BeginData();
  if (!begin.ok()) return begin.status();
  return CopyInPlace(memory, file.fd(), *begin, when, progress);
}

absl::Status WriteMetadata(const Snapshot& snapshot, const std::vector<uint32_t>& checksums,
                           NewFile& file) {
  ImageWriter writer(&file);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  if (absl::Status status = writer.DataInPlace(checksums); !status.ok()) return status;
  return writer.Finish();
}

absl::Status WriteStream(const Snapshot& snapshot, const MemorySource& memory, ByteSink& sink,
                         const CopyProgress& progress) {
  ImageWriter writer(&sink);
  if (absl::Status status = WriteRecords(snapshot, writer); !status.ok()) return status;
  if (absl::Status status = CopyInOrder(memory, writer, progress); !status.ok()) return status;
  return writer.Finish();
}

}  // namespace crfs
