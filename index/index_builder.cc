// SPDX-License-Identifier: Apache-2.0

#include "index/index_builder.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/image.h"
#include "crfs/schema.h"
#include "index/database_writer.h"
#include "index/image_reader.h"
#include "index/keys.h"
#include "index/owners.h"

namespace crfs {
namespace {

bool CountsRefs(const ObjectType& type) {
  return std::any_of(type.rows.begin(), type.rows.end(),
                     [](const Row& row) { return row.codec == Codec::kRefs; });
}

// Sums up how much memory is saved: of each vma and shmem, and of each mm in all, shared
// memory included.
class SavedMemory {
 public:
  void AddVma(Rank mm, Rank shmem, uint64_t size) {
    vma_mm_.push_back(mm);
    if (mm != kNoRank && shmem != kNoRank) shared_.push_back({mm, shmem, size});
  }
  void AddShmem() { shmem_.push_back(0); }
  void AddMm() { mm_.push_back(0); }

  void Add(uint32_t owner_type, Rank rank, uint64_t bytes) {
    if (owner_type == CRFS_TAG_shmem && rank < shmem_.size()) shmem_[rank] += bytes;
    if (owner_type != CRFS_TAG_vma || rank >= vma_mm_.size()) return;
    if (vma_mm_[rank] < mm_.size()) mm_[vma_mm_[rank]] += bytes;
  }
  const std::vector<uint64_t>& Finish() {
    for (const Shared& each : shared_) {
      mm_[each.mm] += std::min(shmem_[each.shmem], each.size);
    }
    return mm_;
  }

 private:
  struct Shared {
    Rank mm;
    Rank shmem;
    uint64_t size;  // of the mapping
  };
  std::vector<Rank> vma_mm_;     // rank of each vma's mm
  std::vector<uint64_t> shmem_;  // bytes
  std::vector<uint64_t> mm_;     // bytes
  std::vector<Shared> shared_;
};

class IndexBuilder : public ImageVisitor {
 public:
  IndexBuilder(const ImageFile* image, const std::string& directory)
      : image_(image), database_(directory), owners_(&table_) {}

  absl::Status Object(const ObjectView& object, uint64_t offset) override;
  absl::Status Extents(uint32_t owner_type, uint64_t owner_id,
                       std::span<const crfs_extent> extents) override;
  absl::Status DataBegins(uint64_t offset, uint64_t length) override;
  absl::Status Checksums(std::span<const uint32_t> checksums) override;
  absl::Status End(const crfs_end& end) override;

  // Whether it was the index that could not be written, rather than the image read.
  bool write_failed() const { return write_failed_; }

 private:
  absl::Status WriteStatus(absl::Status status);
  absl::Status Put(const IndexKey& key, absl::string_view value);
  absl::Status PutSaved();
  absl::Status PutChecksums();
  absl::Status PutRefs();
  absl::Status PutOwners();

  const ImageFile* image_;
  DatabaseWriter database_;
  ObjectTable table_;
  Owners owners_;
  SavedMemory saved_memory_;
  const ObjectType& mm_ = *FindType(CRFS_TAG_mm);
  const ObjectType& shmem_ = *FindType(CRFS_TAG_shmem);
  const Row& vma_shmem_ = *FindType(CRFS_TAG_vma)->Find("shmem");
  const Row& vma_end_ = *FindType(CRFS_TAG_vma)->Find("end");
  IndexMeta meta_;
  // The owner whose extents are being read, and what there is of them.
  uint32_t saved_type_ = 0;
  uint64_t saved_id_ = 0;
  uint64_t saved_bytes_ = 0;
  uint64_t data_position_ = 0;
  std::string checksums_;  // of a block that is not full
  uint64_t checksum_blocks_ = 0;
  std::string value_;
  bool write_failed_ = false;
};

absl::Status IndexBuilder::WriteStatus(absl::Status status) {
  if (!status.ok()) write_failed_ = true;
  return status;
}

absl::Status IndexBuilder::Put(const IndexKey& key, absl::string_view value) {
  return WriteStatus(database_.Put(key, value));
}

absl::Status IndexBuilder::Object(const ObjectView& object, uint64_t offset) {
  const ObjectType& type = object.type();
  const uint64_t id = object.id();
  if (!table_.Add(object)) {
    return absl::ResourceExhaustedError(absl::StrCat("too many objects of type ", type.name));
  }
  owners_.Add(object);
  if (type.tag == CRFS_TAG_mm) saved_memory_.AddMm();
  if (type.tag == CRFS_TAG_shmem) saved_memory_.AddShmem();
  if (type.tag == CRFS_TAG_vma) {
    saved_memory_.AddVma(table_.Find(mm_, object.OwnerId()),
                         table_.Find(shmem_, object.Number(vma_shmem_)),
                         object.Number(vma_end_) - object.KeyNumber());
  }

  value_.clear();
  AppendVarint(&value_, offset);
  AppendVarint(&value_, object.body().size());
  if (auto s = Put(IndexKey::Record(type.tag, id), value_); !s.ok()) return s;
  if (type.key == Key::kId || type.key == Key::kSingle) return absl::OkStatus();
  value_.clear();
  AppendVarint(&value_, id);
  return Put(IndexKey::Child(type.tag, object.OwnerId(), object.KeyNumber()), value_);
}

absl::Status IndexBuilder::Extents(uint32_t owner_type, uint64_t owner_id,
                                   std::span<const crfs_extent> extents) {
  if (owner_type != saved_type_ || owner_id != saved_id_) {
    if (auto status = PutSaved(); !status.ok()) return status;
    saved_type_ = owner_type;
    saved_id_ = owner_id;
  }
  for (const crfs_extent& extent : extents) {
    value_.clear();
    AppendVarint(&value_, extent.length);
    AppendVarint(&value_, data_position_);
    const auto key = IndexKey::Extent(owner_type, owner_id, extent.offset);
    if (auto status = Put(key, value_); !status.ok()) return status;
    data_position_ += extent.length;
    saved_bytes_ += extent.length;
  }
  return absl::OkStatus();
}

absl::Status IndexBuilder::PutSaved() {
  if (saved_bytes_ == 0) return absl::OkStatus();
  const Rank rank = table_.Find(*FindType(saved_type_), saved_id_);
  if (rank != kNoRank) saved_memory_.Add(saved_type_, rank, saved_bytes_);
  const auto key = IndexKey::Saved(saved_type_, saved_id_);
  return Put(key, EncodeNumber(std::exchange(saved_bytes_, 0)));
}

absl::Status IndexBuilder::DataBegins(uint64_t offset, uint64_t length) {
  meta_.data_offset = offset;
  meta_.data_length = length;
  return absl::OkStatus();
}

absl::Status IndexBuilder::Checksums(std::span<const uint32_t> checksums) {
  for (const uint32_t checksum : checksums) {
    checksums_.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
    if (checksums_.size() < kChecksumsInBlock * sizeof(checksum)) continue;
    if (auto status = PutChecksums(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status IndexBuilder::PutChecksums() {
  if (checksums_.empty()) return absl::OkStatus();
  const auto key = IndexKey::Checksums(checksum_blocks_++);
  return Put(key, std::exchange(checksums_, std::string()));
}

absl::Status IndexBuilder::PutRefs() {
  std::vector<std::vector<uint64_t>> refs(ObjectTypes().size());
  for (const ObjectType& type : ObjectTypes()) {
    if (CountsRefs(type)) refs[type.index].resize(table_[type].ids.count());
  }
  for (const ObjectType& type : ObjectTypes()) {
    for (const TypeTable::Reference& reference : table_[type].references) {
      std::vector<uint64_t>& counts = refs[reference.target];
      if (counts.empty()) continue;
      for (const Rank rank : reference.ranks) {
        if (rank != kNoRank) ++counts[rank];
      }
    }
  }
  for (const ObjectType& type : ObjectTypes()) {
    if (refs[type.index].empty()) continue;
    absl::Status result;
    table_[type].ids.ForEach([&](uint64_t rank, uint64_t id) {
      const uint64_t count = refs[type.index][rank];
      if (count == 1 || !result.ok()) return;
      result = Put(IndexKey::Refs(type.tag, id), EncodeNumber(count));
    });
    if (!result.ok()) return result;
  }
  return absl::OkStatus();
}

absl::Status IndexBuilder::PutOwners() {
  const Owners::Owner main = owners_.Main();
  meta_.uid = main.uid;
  meta_.gid = main.gid;
  meta_.one_owner = owners_.AllTheSame();
  if (meta_.one_owner) return absl::OkStatus();
  return owners_.ForEachOther([this](const ObjectType& type, uint64_t id, Owners::Owner owner) {
    return Put(IndexKey::Owner(type.tag, id), EncodePair(owner.uid, owner.gid));
  });
}

absl::Status IndexBuilder::End(const crfs_end& end) {
  meta_.digest.assign(reinterpret_cast<const char*>(end.digest), sizeof(end.digest));
  if (meta_.digest != image_->digest()) {
    return absl::DataLossError("the image has been changed since it was opened: open it again");
  }
  if (auto status = PutSaved(); !status.ok()) return status;
  const std::vector<uint64_t>& of_mm = saved_memory_.Finish();
  absl::Status result;
  table_[mm_].ids.ForEach([&](uint64_t rank, uint64_t id) {
    if (of_mm[rank] == 0 || !result.ok()) return;
    result = Put(IndexKey::SavedInAll(CRFS_TAG_mm, id), EncodeNumber(of_mm[rank]));
  });
  if (!result.ok()) return result;
  if (auto status = PutChecksums(); !status.ok()) return status;
  if (auto status = PutRefs(); !status.ok()) return status;
  if (auto status = PutOwners(); !status.ok()) return status;

  meta_.format = image_->format();
  meta_.image_size = end.size;
  for (const ObjectType& type : ObjectTypes()) {
    meta_.counts[type.tag] = table_[type].ids.count();
  }
  if (auto status = Put(IndexKey::Meta(), EncodeMeta(meta_)); !status.ok()) return status;
  return WriteStatus(database_.Finish());
}

}  // namespace

absl::Status BuildIndex(const ImageFile& image, const std::string& directory,
                        const std::function<void(uint64_t, uint64_t)>& progress,
                        bool* index_at_fault) {
  IndexBuilder builder(&image, directory);
  ImageFileSource source(&image, progress);
  const absl::Status status = ReadImage(source, builder, {.skip_data = true});
  *index_at_fault = builder.write_failed();
  if (status.ok() || *index_at_fault) return status;
  if (absl::StartsWith(status.message(), image.path() + ": ")) return status;
  return absl::Status(status.code(), absl::StrCat(image.path(), ": ", status.message()));
}

}  // namespace crfs
