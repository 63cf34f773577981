// SPDX-License-Identifier: Apache-2.0

#include "index/image_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/crc32c.h"
#include "index/data_checksum.h"
#include "index/image_checker.h"
#include "index/image_input.h"

namespace crfs {
namespace {

constexpr absl::string_view kDamaged = "the image is damaged: copy it again";
constexpr absl::string_view kTruncated = "the image is truncated: copy it again";
constexpr absl::string_view kFaulty = "what wrote the image is at fault: take the checkpoint again";

template <typename T>
T Load(absl::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

bool AllZero(absl::string_view bytes) {
  return bytes.find_first_not_of('\0') == absl::string_view::npos;
}

// What a file that is no image seems to be, for its message.
absl::string_view Guess(absl::string_view bytes) {
  struct Kind {
    absl::string_view magic;
    absl::string_view text;
  };
  static constexpr Kind kKinds[] = {
      {"\211CRFS\n", "an image that was copied as text: copy it as it is"},
      {"\x28\xb5\x2f\xfd", "compressed with zstd: decompress it (zstd -d)"},
      {"\x1f\x8b", "compressed with gzip: decompress it (gzip -d)"},
      {"\xfd"
       "7zXZ",
       "compressed with xz: decompress it (xz -d)"},
      {"\177ELF", "an ELF file: give an image that crfs has written"},
  };
  for (const Kind& kind : kKinds) {
    if (absl::StartsWith(bytes, kind.magic)) return kind.text;
  }
  return "";
}

class Reader {
 public:
  Reader(ByteSource& source, ImageVisitor& visitor, const ReadOptions& options)
      : input_(&source), visitor_(visitor), skip_data_(options.skip_data) {}

  absl::Status Read() {
    if (absl::Status status = ReadHeader(); !status.ok()) return status;
    while (!done_) {
      if (absl::Status status = ReadRecord(); !status.ok()) return status;
    }
    if (absl::Status status = input_.Fill(1); !status.ok()) return status;
    if (!input_.ready().empty()) {
      return Wrong("something follows the end record",
                   "the file is no image, or two: copy it again");
    }
    return visitor_.End(end_);
  }

 private:
  // ---- messages -----------------------------------------------------------------------

  absl::Status Wrong(absl::string_view what, absl::string_view advice) const {
    return absl::DataLossError(absl::StrCat("at byte ", input_.offset(), ": ", what, ": ", advice));
  }

  // The record that is being read, in words.
  std::string Name() const {
    switch (record_.type) {
      case CRFS_RECORD_EXTENTS:
        return absl::StrCat("record of extents ", record_.id);
      case CRFS_RECORD_DATA:
        return "record of data";
      case CRFS_RECORD_CHECKSUMS:
        return absl::StrCat("record of checksums ", record_.id);
      case CRFS_RECORD_END:
        return "end record";
      default:
        break;
    }
    const ObjectType* type = FindType(record_.type);
    return type == nullptr ? absl::StrCat("record of type 0x", absl::Hex(record_.type))
                           : absl::StrCat("record of ", type->name, " ", record_.id);
  }

  absl::Status WrongRecord(absl::string_view what, absl::string_view advice) const {
    return Wrong(absl::StrCat(Name(), ": ", what), advice);
  }

  // A rule of the checker that does not hold.
  absl::Status Faulty(const absl::Status& status) const {
    if (absl::IsDataLoss(status)) return WrongRecord(status.message(), kFaulty);
    return absl::Status(status.code(), absl::StrCat("at byte ", input_.offset(), ": ", Name(), ": ",
                                                    status.message()));
  }

  // ---- framing ------------------------------------------------------------------------

  absl::Status ReadHeader() {
    constexpr size_t kSize = sizeof(crfs_image_header);
    if (absl::Status status = input_.Fill(kSize); !status.ok()) return status;
    const absl::string_view bytes = input_.ready().substr(0, kSize);
    const absl::string_view magic(CRFS_IMAGE_MAGIC, CRFS_IMAGE_MAGIC_SIZE);
    if (bytes.empty()) {
      return absl::InvalidArgumentError("it is empty: give an image that crfs has written");
    }
    if (!absl::StartsWith(bytes, magic.substr(0, bytes.size()))) {
      const absl::string_view guess = Guess(bytes);
      return absl::InvalidArgumentError(
          guess.empty() ? "it is not a crfs image: give one that crfs has written"
                        : absl::StrCat("it is not a crfs image but ", guess));
    }
    if (bytes.size() < kSize) return Wrong("the image ends within its header", kTruncated);
    const auto header = Load<crfs_image_header>(bytes);
    if (Crc32c(bytes.substr(0, offsetof(crfs_image_header, crc))) != header.crc) {
      return Wrong("the checksum of the image's header is wrong", kDamaged);
    }
    if (header.format > CRFS_FORMAT_VERSION) {
      return absl::UnimplementedError(absl::StrCat("the image has format version ", header.format,
                                                   ", this crfs reads up to ", CRFS_FORMAT_VERSION,
                                                   ": use a newer crfs"));
    }
    if (header.format == 0) return Wrong("format version 0 does not exist", kFaulty);
    input_.Consume(kSize);
    return absl::OkStatus();
  }

  absl::Status ReadRecord() {
    constexpr size_t kSize = sizeof(crfs_record);
    if (absl::Status status = input_.Fill(kSize); !status.ok()) return status;
    const absl::string_view bytes = input_.ready().substr(0, kSize);
    if (bytes.empty()) return Wrong("the image ends before its end record", kTruncated);
    if (bytes.size() < kSize) return Wrong("the image ends within a record's header", kTruncated);
    record_ = Load<crfs_record>(bytes);
    if (Crc32c(bytes.substr(0, offsetof(crfs_record, header_crc))) != record_.header_crc) {
      return Wrong("the checksum of a record's header is wrong", kDamaged);
    }
    if (record_.flags != 0) return WrongRecord("it has unknown flags", kFaulty);
    if (record_.type == CRFS_RECORD_DATA) return ReadData();
    return ReadWithBody();
  }

  absl::Status ReadWithBody() {
    const ObjectType* type = FindType(record_.type);
    if (type == nullptr && record_.type != CRFS_RECORD_EXTENTS &&
        record_.type != CRFS_RECORD_CHECKSUMS && record_.type != CRFS_RECORD_END) {
      return absl::UnimplementedError(absl::StrCat(
          "at byte ", input_.offset(), ": ", Name(), ": format version ", CRFS_FORMAT_VERSION,
          ", the newest that this crfs knows, has no such type: use a newer crfs"));
    }
    if (record_.length > CRFS_RECORD_BODY_MAX) {
      return WrongRecord(
          absl::StrCat("its length, ", record_.length, " bytes, is above ", CRFS_RECORD_BODY_MAX),
          kFaulty);
    }
    const auto length = static_cast<size_t>(record_.length);
    const size_t whole = sizeof(crfs_record) + length + -length % 8;
    if (absl::Status status = input_.Fill(whole); !status.ok()) return status;
    if (input_.ready().size() < whole) return WrongRecord("the image ends within it", kTruncated);
    const absl::string_view bytes = input_.ready().substr(0, whole);
    const absl::string_view body = bytes.substr(sizeof(crfs_record), length);
    if (Crc32c(body) != record_.body_crc) return WrongRecord("its checksum is wrong", kDamaged);
    if (!AllZero(bytes.substr(sizeof(crfs_record) + length))) {
      return WrongRecord("the bytes that fill it up to 8 are not zero", kDamaged);
    }
    absl::Status status;
    if (type != nullptr) {
      status = OnObject(*type, body);
    } else if (record_.type == CRFS_RECORD_EXTENTS) {
      status = OnExtents(body);
    } else if (record_.type == CRFS_RECORD_CHECKSUMS) {
      status = OnChecksums(body);
    } else {
      status = OnEnd(body);
    }
    if (status.ok()) input_.Consume(whole);
    return status;
  }

  // ---- records, in their order ----------------------------------------------------------

  enum class Part { kObjects, kExtents, kChecksums };

  absl::Status OnObject(const ObjectType& type, absl::string_view body) {
    if (part_ != Part::kObjects)
      return WrongRecord("objects come before extents and data", kFaulty);
    const auto view = ObjectView::Parse(type, record_.id, body);
    if (!view.ok()) return Faulty(view.status());
    if (absl::Status status = checker_.Object(*view); !status.ok()) return Faulty(status);
    return visitor_.Object(*view, input_.offset() + sizeof(crfs_record));
  }

  absl::Status EndObjects() {
    if (part_ != Part::kObjects) return absl::OkStatus();
    part_ = Part::kExtents;
    const absl::Status status = checker_.EndObjects();
    if (status.ok() || !absl::IsDataLoss(status)) return status;
    return Wrong(status.message(), kFaulty);
  }

  absl::Status OnExtents(absl::string_view body) {
    if (absl::Status status = EndObjects(); !status.ok()) return status;
    if (part_ != Part::kExtents) return WrongRecord("extents come before data", kFaulty);
    if (record_.id != ++extents_records_) {
      return WrongRecord(absl::StrCat("its number should be ", extents_records_), kFaulty);
    }
    if (body.size() < sizeof(crfs_extents)) return WrongRecord("its body is too short", kFaulty);
    const auto head = Load<crfs_extents>(body);
    body.remove_prefix(sizeof(crfs_extents));
    if (head.count == 0 || head.count > CRFS_EXTENTS_MAX ||
        body.size() != head.count * sizeof(crfs_extent)) {
      return WrongRecord("its count does not fit its length", kFaulty);
    }
    extents_.resize(head.count);
    std::memcpy(extents_.data(), body.data(), body.size());
    absl::Status status = checker_.Extents(head.owner_type, head.owner_id, extents_);
    if (!status.ok()) return Faulty(status);
    return visitor_.Extents(head.owner_type, head.owner_id, extents_);
  }

  absl::Status ReadData() {
    if (absl::Status status = EndObjects(); !status.ok()) return status;
    if (part_ != Part::kExtents) return WrongRecord("there are two", kFaulty);
    part_ = Part::kChecksums;
    if (record_.id != 0) return WrongRecord("its id is not 0", kFaulty);
    if (record_.body_crc != 0) return WrongRecord("it has a checksum of its own", kFaulty);
    if (record_.length != checker_.data()) {
      return WrongRecord(
          absl::StrCat("it has ", record_.length, " bytes, but the extents have ", checker_.data()),
          kFaulty);
    }
    const uint64_t begin = input_.offset() + sizeof(crfs_record);
    const auto whole = static_cast<size_t>(sizeof(crfs_record) + -begin % checker_.page_size());
    if (absl::Status status = input_.Fill(whole); !status.ok()) return status;
    const absl::string_view bytes = input_.ready().substr(0, whole);
    if (bytes.size() < whole) return WrongRecord("the image ends within it", kTruncated);
    if (!AllZero(bytes.substr(sizeof(crfs_record)))) {
      return WrongRecord("the bytes before its body are not zero", kDamaged);
    }
    input_.Consume(whole);
    input_.SetDigesting(false);
    absl::Status status = visitor_.DataBegins(input_.offset(), record_.length);
    data_offset_ = input_.offset();
    if (status.ok()) status = skip_data_ ? input_.Skip(record_.length) : StreamData();
    input_.SetDigesting(true);
    return status;
  }

  absl::Status StreamData() {
    DataChecksummer checksummer;
    for (uint64_t done = 0; done < record_.length;) {
      if (absl::Status status = input_.Fill(1); !status.ok()) return status;
      if (input_.ready().empty()) return Wrong("the image ends within its data", kTruncated);
      const uint64_t left =
          std::min<uint64_t>(record_.length - done, CRFS_CHUNK_SIZE - done % CRFS_CHUNK_SIZE);
      const absl::string_view piece = input_.ready().substr(0, static_cast<size_t>(left));
      checksummer.Add(piece);
      done += piece.size();
      if (done % CRFS_CHUNK_SIZE == 0 || done == record_.length) {
        computed_.push_back(checksummer.Take());
      }
      absl::Status status = visitor_.Data(piece);
      if (!status.ok()) return status;
      input_.Consume(piece.size());
    }
    return absl::OkStatus();
  }

  absl::Status OnChecksums(absl::string_view body) {
    if (part_ != Part::kChecksums) return WrongRecord("checksums come after data", kFaulty);
    const uint64_t before = checksums_records_ * CRFS_CHECKSUMS_MAX;
    if (record_.id != ++checksums_records_) {
      return WrongRecord(absl::StrCat("its number should be ", checksums_records_), kFaulty);
    }
    const uint64_t all = (checker_.data() + CRFS_CHUNK_SIZE - 1) / CRFS_CHUNK_SIZE;
    const uint64_t count = std::min<uint64_t>(all - std::min(before, all), CRFS_CHECKSUMS_MAX);
    if (count == 0 || body.size() != count * sizeof(uint32_t)) {
      return WrongRecord(absl::StrCat("it should have ", count, " checksums"), kFaulty);
    }
    checksums_.resize(static_cast<size_t>(count));
    std::memcpy(checksums_.data(), body.data(), body.size());
    for (size_t i = 0; !skip_data_ && i < checksums_.size(); ++i) {
      if (checksums_[i] == computed_[before + i]) continue;
      const uint64_t offset = (before + i) * CRFS_CHUNK_SIZE;
      const uint64_t length = std::min<uint64_t>(CRFS_CHUNK_SIZE, checker_.data() - offset);
      return absl::DataLossError(absl::StrCat("at byte ", data_offset_ + offset,
                                              ": the checksum of ", length,
                                              " bytes of memory is wrong: ", kDamaged));
    }
    checksums_seen_ = before + count == all;
    return visitor_.Checksums(checksums_);
  }

  absl::Status OnEnd(absl::string_view body) {
    if (part_ != Part::kChecksums || (checker_.data() > 0 && !checksums_seen_)) {
      return WrongRecord("records are missing before it", kFaulty);
    }
    if (record_.id != 0) return WrongRecord("its id is not 0", kFaulty);
    if (body.size() != sizeof(crfs_end)) {
      return WrongRecord(absl::StrCat("its length is not ", sizeof(crfs_end)), kFaulty);
    }
    end_ = Load<crfs_end>(body);
    if (end_.objects != checker_.objects() || end_.extents != checker_.extents() ||
        end_.data != checker_.data()) {
      return WrongRecord("it counts other objects, extents or data than there are", kFaulty);
    }
    if (end_.size != input_.offset() + sizeof(crfs_record) + sizeof(crfs_end)) {
      return WrongRecord("the size of the image that it names is wrong", kFaulty);
    }
    const Digest digest = input_.GetDigest();
    if (std::memcmp(end_.digest, digest.data(), digest.size()) != 0) {
      return WrongRecord("the digest of the image is wrong", kDamaged);
    }
    done_ = true;
    return absl::OkStatus();
  }

  ImageInput input_;
  ImageVisitor& visitor_;
  const bool skip_data_;
  ImageChecker checker_;
  Part part_ = Part::kObjects;
  crfs_record record_ = {};
  std::vector<crfs_extent> extents_;  // of one record
  uint64_t extents_records_ = 0;
  uint64_t data_offset_ = 0;
  std::vector<uint32_t> computed_;   // of the data that was read, one a chunk
  std::vector<uint32_t> checksums_;  // of one record
  uint64_t checksums_records_ = 0;
  bool checksums_seen_ = false;  // all of them
  bool done_ = false;
  crfs_end end_ = {};
};

}  // namespace

absl::Status ImageVisitor::Extents(uint32_t, uint64_t, std::span<const crfs_extent>) {
  return absl::OkStatus();
}
absl::Status ImageVisitor::DataBegins(uint64_t, uint64_t) { return absl::OkStatus(); }
absl::Status ImageVisitor::Data(absl::string_view) { return absl::OkStatus(); }
absl::Status ImageVisitor::Checksums(std::span<const uint32_t>) { return absl::OkStatus(); }
absl::Status ImageVisitor::End(const crfs_end&) { return absl::OkStatus(); }

absl::Status ReadImage(ByteSource& source, ImageVisitor& visitor, const ReadOptions& options) {
  return Reader(source, visitor, options).Read();
}

absl::Status WithPath(const absl::Status& status, absl::string_view path) {
  const std::string prefix = absl::StrCat(path, ": ");
  if (status.ok() || absl::StartsWith(status.message(), prefix)) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

}  // namespace crfs
