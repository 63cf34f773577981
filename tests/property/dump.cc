// SPDX-License-Identifier: Apache-2.0

#include "tests/property/dump.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "index/byte_stream.h"
#include "index/codec.h"
#include "index/crc32c.h"
#include "index/image_reader.h"
#include "index/schema.h"

namespace crfs {
namespace {

std::string Text(const ObjectView& object, const Row& row) {
  if (row.wire == Wire::kRef) return absl::StrCat(object.Number(row));
  Value value;
  if (row.wire == Wire::kBytes) {
    value.bytes = std::string(object.Bytes(row));
  } else {
    value.number = object.Number(row);
  }
  const std::string text = FormatValue(row, value);
  if (text.size() > 300) {
    return absl::StrFormat("%d bytes, crc32c %08x", text.size(), Crc32c(text));
  }
  return absl::StrCat("\"", absl::CHexEscape(text), "\"");
}

class Dumper : public ImageVisitor {
 public:
  absl::Status Object(const ObjectView& object, uint64_t offset) override {
    absl::StrAppend(&dump, object.type().name, " ", object.id(), " at ", offset, " ",
                    object.DirectoryName(), "\n");
    for (const Row& row : object.type().rows) {
      // A row that came with a later format version is not in an old image.
      if (object.Has(row)) {
        absl::StrAppend(&dump, "  ", row.field, " ", Text(object, row), "\n");
      }
    }
    return absl::OkStatus();
  }
  absl::Status Extents(uint32_t type, uint64_t id, std::span<const crfs_extent> extents) override {
    for (const crfs_extent& extent : extents) {
      absl::StrAppend(&dump, "extent of ", FindType(type)->name, " ", id, ": ", extent.offset, " ",
                      extent.length, "\n");
    }
    return absl::OkStatus();
  }
  absl::Status DataBegins(uint64_t offset, uint64_t length) override {
    absl::StrAppend(&dump, "data at ", offset, ": ", length, "\n");
    return absl::OkStatus();
  }
  absl::Status Checksums(std::span<const uint32_t> checksums) override {
    for (const uint32_t checksum : checksums) {
      absl::StrAppendFormat(&dump, "checksum %08x\n", checksum);
    }
    return absl::OkStatus();
  }
  absl::Status End(const crfs_end& end) override {
    absl::StrAppend(&dump, "end: ", end.objects, " ", end.extents, " ", end.data, " ", end.size,
                    "\n");
    return absl::OkStatus();
  }

  std::string dump;
};

absl::string_view Name(Wire wire) {
  static constexpr absl::string_view kNames[] = {"u32", "s32",   "u64", "s64",
                                                 "ref", "bytes", "none"};
  return kNames[static_cast<size_t>(wire)];
}

absl::string_view Name(Codec codec) {
  static constexpr absl::string_view kNames[] = {
      "dec",     "hex",    "hex8",       "oct",     "umask",   "offset",    "dev",
      "nsec",    "time",   "limit",      "perm",    "handler", "signal",    "sigset",
      "enum",    "bits",   "open_flags", "text",    "strings", "raw",       "numbers",
      "cpulist", "uuid",   "auxv",       "hexdump", "ranges",  "ref",       "id",
      "refs",    "format", "pages",      "pagemap", "via",     "via_leader"};
  static_assert(std::size(kNames) == static_cast<size_t>(Codec::kViaLeader) + 1);
  return kNames[static_cast<size_t>(codec)];
}

}  // namespace

absl::StatusOr<std::string> DumpImage(absl::string_view image) {
  StringSource source(image);
  Dumper dumper;
  if (absl::Status status = ReadImage(source, dumper); !status.ok()) return status;
  return dumper.dump;
}

std::string DumpWire(int since) {
  std::string dump;
  for (const ObjectType& type : ObjectTypes()) {
    const auto is_since = [&](const Row& row) { return row.since == since; };
    if (std::none_of(type.rows.begin(), type.rows.end(), is_since)) continue;
    absl::StrAppendFormat(&dump, "%s tag 0x%04x owner %s\n", type.name, type.tag,
                          type.owner.empty() ? "none" : type.owner);
    for (const Row& row : type.rows) {
      if (row.wire == Wire::kNone || !is_since(row)) continue;
      absl::StrAppend(&dump, type.name, ".", row.field, " ", row.offset, " ", row.size, " ",
                      Name(row.wire), " ", Name(row.codec),
                      row.wire == Wire::kRef ? absl::StrCat(" ", row.target) : "", "\n");
      for (const Word& word : row.words) {
        absl::StrAppend(&dump, type.name, ".", row.field, ": ", word.value, " ", word.name, "\n");
      }
    }
  }
  return dump;
}

}  // namespace crfs
