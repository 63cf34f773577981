// SPDX-License-Identifier: Apache-2.0

#include "index/memory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "crfs/schema.h"

namespace crfs {
namespace {

const ObjectType& VmaType() { return *FindType(CRFS_TAG_vma); }
const ObjectType& ShmemType() { return *FindType(CRFS_TAG_shmem); }

absl::Status BeyondTheEnd() { return absl::OutOfRangeError("at the end of the file or beyond"); }

void AddZeros(Contents* contents, uint64_t length) {
  if (!contents->empty() && contents->back().kind == Piece::Kind::kZeros) {
    contents->back().length += length;
  } else {
    contents->push_back({.kind = Piece::Kind::kZeros, .length = length, .bytes = {}});
  }
}

class OneObject : public Memory {
 public:
  OneObject(const Index* index, const ObjectCache* objects, std::shared_ptr<const Object> object)
      : Memory(index, objects), object_(std::move(object)) {
    set_size(ObjectMemorySize(object_->view()));
  }

 private:
  absl::StatusOr<Segment> At(uint64_t offset) const override {
    return AtOf(object_->view().type(), object_->view().id(), offset, size());
  }

  std::shared_ptr<const Object> object_;
};

class WholeAddressSpace : public Memory {
 public:
  WholeAddressSpace(const Index* index, const ObjectCache* objects, uint64_t mm_id)
      : Memory(index, objects), mm_id_(mm_id) {}

  absl::Status Measure() {
    auto last = index_->FindKeyBefore(VmaType(), mm_id_, INT64_MAX);
    if (!last.ok()) return last.status();
    if (!last->has_value()) return absl::OkStatus();
    auto vma = objects_->Get(VmaType(), (*last)->id);
    if (!vma.ok()) return vma.status();
    set_size((*vma)->view().Number("end"));
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Segment> At(uint64_t address) const override;

  uint64_t mm_id_;
};

absl::StatusOr<Memory::Segment> WholeAddressSpace::At(uint64_t address) const {
  static const Row& end_row = *VmaType().Find("end");
  static const Row& offset_row = *VmaType().Find("offset");
  static const Row& shmem_row = *VmaType().Find("shmem");
  auto before = index_->FindKeyBefore(VmaType(), mm_id_, address);
  if (!before.ok()) return before.status();
  if (before->has_value()) {
    auto vma = objects_->Get(VmaType(), (*before)->id);
    if (!vma.ok()) return vma.status();
    const ObjectView& view = (*vma)->view();
    const uint64_t start = (*before)->key;
    const uint64_t end = std::min(view.Number(end_row), size());
    if (address < end) {
      auto segment = AtOf(VmaType(), view.id(), address - start, end - start);
      if (!segment.ok()) return segment.status();
      segment->end += start;
      const uint64_t shmem = view.Number(shmem_row);
      const uint64_t first = view.Number(offset_row);
      if (segment->saved || shmem == 0 || first > UINT64_MAX - (end - start)) return segment;
      const uint64_t shift = first + (address - start);
      auto shared = AtOf(ShmemType(), shmem, shift, shift + (segment->end - address));
      if (!shared.ok()) return shared.status();
      shared->end = address + (shared->end - shift);
      return shared;
    }
  }
  Segment hole{.end = size()};
  auto status = index_->ListKeys(VmaType(), mm_id_, address + 1, [&](uint64_t start, uint64_t) {
    hole.end = std::min(start, size());
    return false;
  });
  if (!status.ok()) return status;
  return hole;
}

}  // namespace

absl::StatusOr<Memory::Segment> Memory::AtOf(const ObjectType& type, uint64_t id, uint64_t offset,
                                             uint64_t end) const {
  auto extent = index_->FindExtent(type, id, offset);
  if (!extent.ok()) return extent.status();
  if (!extent->has_value()) return Segment{.end = end};
  const SavedExtent& found = **extent;
  if (found.offset > offset) return Segment{.end = std::min(end, found.offset)};
  const uint64_t skipped = offset - found.offset;
  return Segment{.end = offset + std::min(end - offset, found.length - skipped),
                 .saved = true,
                 .image_offset = found.image_offset + skipped};
}

absl::StatusOr<Contents> Memory::Read(uint64_t offset, uint64_t length) const {
  Contents contents;
  if (offset >= size_) return contents;
  const uint64_t end = offset + std::min(length, size_ - offset);
  while (offset < end) {
    auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    const uint64_t step = std::min(segment->end, end) - offset;
    if (segment->saved) {
      if (auto s = index_->VerifyData(segment->image_offset, step); !s.ok()) return s;
      contents.push_back({.kind = Piece::Kind::kImage,
                          .length = step,
                          .bytes = {},
                          .image_offset = segment->image_offset});
    } else {
      AddZeros(&contents, step);
    }
    offset += step;
  }
  return contents;
}

absl::StatusOr<uint64_t> Memory::SeekData(uint64_t offset) const {
  while (offset < size_) {
    auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    if (segment->saved) return offset;
    offset = segment->end;
  }
  return BeyondTheEnd();
}

absl::StatusOr<uint64_t> Memory::SeekHole(uint64_t offset) const {
  if (offset >= size_) return BeyondTheEnd();
  while (offset < size_) {
    auto segment = At(offset);
    if (!segment.ok()) return segment.status();
    if (!segment->saved) return offset;
    offset = segment->end;
  }
  return size_;
}

uint64_t ObjectMemorySize(const ObjectView& object) {
  const uint64_t size = object.type().key == Key::kRange
                            ? object.Number("end") - object.Number("start")
                            : object.Number("size");
  return std::min<uint64_t>(size, INT64_MAX);
}

std::unique_ptr<Memory> ObjectMemory(const Index* index, const ObjectCache* objects,
                                     std::shared_ptr<const Object> object) {
  return std::make_unique<OneObject>(index, objects, std::move(object));
}

absl::StatusOr<std::unique_ptr<Memory>> AddressSpace(const Index* index, const ObjectCache* objects,
                                                     uint64_t mm_id) {
  auto memory = std::make_unique<WholeAddressSpace>(index, objects, mm_id);
  if (auto status = memory->Measure(); !status.ok()) return status;
  return memory;
}

}  // namespace crfs
