// SPDX-License-Identifier: Apache-2.0

#include "tests/generate/generate.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "crfs/schema.h"
#include "index/image_writer.h"
#include "index/record.h"
#include "index/schema.h"
#include "tests/generate/plan.h"
#include "tests/generate/values.h"

namespace crfs {
namespace {

class Generator {
 public:
  Generator(const GenerateOptions& options, ByteSink& sink)
      : seed_(options.seed), plan_(options), writer_(&sink) {}

  absl::Status Run() {
    for (const ObjectType& type : ObjectTypes()) {
      if (absl::Status status = AddAll(type); !status.ok()) return status;
    }
    if (absl::Status status = AddExtents(); !status.ok()) return status;
    if (absl::Status status = AddData(); !status.ok()) return status;
    return writer_.Finish();
  }

 private:
  absl::Status AddAll(const ObjectType& type) {
    uint64_t id = 0;
    if (type.owner.empty()) {
      while (id < plan_.Count(type.name)) {
        if (absl::Status status = Add(type, ++id, 0, 0); !status.ok()) return status;
      }
      return absl::OkStatus();
    }
    const bool of_thread = type.tag == CRFS_TAG_thread_signal;
    const uint64_t owners = of_thread ? threads_ : plan_.Count(type.owner);
    for (uint64_t owner = 1; owner <= owners; ++owner) {
      const uint64_t count =
          of_thread ? plan_.ThreadSignals(owner) : plan_.CountOwned(type.name, owner);
      for (uint64_t i = 0; i < count; ++i) {
        if (absl::Status status = Add(type, ++id, owner, i); !status.ok()) return status;
      }
    }
    if (type.tag == CRFS_TAG_thread) threads_ = id;
    return absl::OkStatus();
  }

  absl::Status Add(const ObjectType& type, uint64_t id, uint64_t owner, uint64_t index) {
    Random random(seed_ * 0x1000'0000'01b3 + (uint64_t{type.tag} << 48) + id);
    ObjectBuilder object(type);
    for (const Row& row : type.rows) {
      if (row.wire == Wire::kNone || row.access == Access::kOwner) continue;
      if (row.wire == Wire::kRef) {
        if (row.target == "task") continue;
        // Sometimes to nothing, else to any.
        const bool needed = type.tag == CRFS_TAG_fd || type.tag == CRFS_TAG_thread;
        const uint64_t count = plan_.Count(row.target);
        if (!random.OneIn(8) || needed) object.SetNumber(row, 1 + random.Below(count));
        continue;
      }
      if (row.path.empty() && row.access != Access::kKey) continue;  // reserved
      const Value value = AnyValue(row, id, random);
      if (row.wire == Wire::kBytes) {
        object.SetBytes(row, value.bytes);
      } else {
        object.SetNumber(row, value.number);
      }
    }
    if (!type.owner.empty()) object.SetNumber(*FindAccess(type, Access::kOwner), owner);
    SetPlanned(object, id, owner, index);
    auto body = object.Build();
    if (!body.ok()) return body.status();
    return writer_.Object(type, id, *body);
  }

  // Edge values are tried one after another by the first objects of a type, then at times.
  static Value AnyValue(const Row& row, uint64_t id, Random& random) {
    if (id <= 64 ? id % 2 == 0 : random.OneIn(50)) {
      const std::vector<Value> edges = EdgeValues(row);
      const Value& edge = edges[id <= 64 ? id / 2 % edges.size() : random.Below(edges.size())];
      // One huge value is enough of a kind.
      if (id <= 64 || edge.bytes.size() < 100) return edge;
    }
    return RandomValue(row, random);
  }

  // The rows that rules bind.
  void SetPlanned(ObjectBuilder& object, uint64_t id, uint64_t owner, uint64_t index) {
    switch (object.type().tag) {
      case CRFS_TAG_checkpoint:
        object.SetBytes("arch", "x86_64").SetNumber("page_size", kPageSize).SetNumber("root", 1);
        object.SetNumber("time", 1'790'000'000'123'456'789 + seed_);
        object.SetBytes("uuid", "crfs-generated-" + std::string(1, static_cast<char>(seed_)));
        break;
      case CRFS_TAG_shmem:
        object.SetNumber("size", plan_.ShmemSize(id));
        break;
      case CRFS_TAG_vma: {
        const Plan::Range range = plan_.Vma(owner, index);
        object.SetNumber("start", range.start).SetNumber("end", range.end);
        break;
      }
      case CRFS_TAG_fd:
        // With gaps.
        object.SetNumber("fd", index + index / 3);
        break;
      case CRFS_TAG_sigaction:
        object.SetNumber("signal", index == 0 ? 1 : index == 1 ? 2 + owner % 62 : 64);
        break;
      case CRFS_TAG_task:
        SetTask(object, id);
        break;
      case CRFS_TAG_thread:
        object.SetNumber("tid", plan_.Tid(owner, index));
        break;
      case CRFS_TAG_signal:
      case CRFS_TAG_thread_signal:
        object.SetNumber("index", index);
        break;
      default:
        break;
    }
  }

  void SetTask(ObjectBuilder& object, uint64_t id) {
    object.SetNumber("pid", plan_.Pid(id));
    const bool zombie = plan_.IsZombie(id);
    object.SetNumber("state", zombie ? CRFS_state_zombie : CRFS_state_running);
    for (const absl::string_view field : {"mm", "fd", "fs", "sighand"}) {
      object.SetNumber(field, zombie ? 0 : plan_.Shared(id));
    }
  }

  absl::Status AddExtents() {
    for (uint64_t shmem = 1; shmem <= plan_.Count("shmem"); ++shmem) {
      const auto extents = plan_.ShmemExtents(shmem);
      absl::Status status = writer_.Extents(CRFS_TAG_shmem, shmem, extents);
      if (!status.ok()) return status;
      for (const crfs_extent& extent : extents) data_ += extent.length;
    }
    short_pages_ = data_ / kPageSize;
    uint64_t vma = 0;
    for (uint64_t mm = 1; mm <= plan_.Count("mm"); ++mm) {
      const uint64_t count = plan_.CountOwned("vma", mm);
      for (uint64_t i = 0; i < count; ++i) {
        ++vma;
        for (uint64_t from = 0;; from += CRFS_EXTENTS_MAX) {
          const auto extents = plan_.VmaExtents(mm, i, from);
          if (extents.empty()) break;
          absl::Status status = writer_.Extents(CRFS_TAG_vma, vma, extents);
          if (!status.ok()) return status;
          for (const crfs_extent& extent : extents) data_ += extent.length;
        }
      }
    }
    return absl::OkStatus();
  }

  // Pages that all differ: noise, with the number of the page in its first bytes. All saved
  // shared memory is the last page of its object, one byte shorter than a page.
  absl::Status AddData() {
    std::string noise(256 * kPageSize, '\0');
    Random random(seed_);
    for (size_t i = 0; i < noise.size(); i += sizeof(uint64_t)) {
      const uint64_t number = random.Next();
      std::memcpy(noise.data() + i, &number, sizeof(number));
    }
    uint64_t page = 0;
    for (uint64_t done = 0; done < data_;) {
      const uint64_t length = std::min<uint64_t>(noise.size(), data_ - done);
      for (uint64_t i = 0; i < length; i += kPageSize, ++page) {
        std::memcpy(noise.data() + i, &page, sizeof(page));
        // Beyond the size of shared memory, there is nothing.
        noise[i + kPageSize - 1] = page < short_pages_ ? '\0' : 'x';
      }
      absl::Status status = writer_.Data(absl::string_view(noise).substr(0, length));
      if (!status.ok()) return status;
      done += length;
    }
    return absl::OkStatus();
  }

  const uint64_t seed_;
  const Plan plan_;
  ImageWriter writer_;
  uint64_t threads_ = 0;      // in the image
  uint64_t data_ = 0;         // bytes
  uint64_t short_pages_ = 0;  // so many come first: each the last of its memory
};

}  // namespace

absl::Status GenerateImage(const GenerateOptions& options, ByteSink& sink) {
  if (options.tasks == 0 || options.tasks > 1'000'000) {
    return absl::InvalidArgumentError("an image has 1 to 1000000 tasks");
  }
  if (options.memory > uint64_t{16} << 40) {
    return absl::InvalidArgumentError("an image has at most 16 TiB of memory");
  }
  return Generator(options, sink).Run();
}

}  // namespace crfs
