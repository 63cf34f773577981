// SPDX-License-Identifier: Apache-2.0
//
// Extended attributes: what the schema says of a file.

#include <optional>

#include "absl/strings/str_cat.h"
#include "crfs/schema.h"
#include "index/image_place.h"
#include "index/tree_state.h"

namespace crfs {
namespace {

absl::string_view NameOf(Access access) {
  switch (access) {
    case Access::kRo:
      return "ro";
    case Access::kRw:
      return "rw";
    case Access::kDerived:
      return "derived";
    case Access::kKey:
      return "key";
    case Access::kOwner:
      return "owner";
  }
  return "";
}

absl::string_view NameOf(Restart restart) {
  switch (restart) {
    case Restart::kRestore:
      return "restore";
    case Restart::kCheck:
      return "check";
    case Restart::kInfo:
      return "info";
  }
  return "";
}

absl::string_view NameOf(Codec codec) {
  switch (codec) {
    case Codec::kDec:
      return "dec";
    case Codec::kHex:
      return "hex";
    case Codec::kHex8:
      return "hex8";
    case Codec::kOct:
      return "oct";
    case Codec::kUmask:
      return "umask";
    case Codec::kOffset:
      return "offset";
    case Codec::kDev:
      return "dev";
    case Codec::kNsec:
      return "nsec";
    case Codec::kTime:
      return "time";
    case Codec::kLimit:
      return "limit";
    case Codec::kPerm:
      return "perm";
    case Codec::kHandler:
      return "handler";
    case Codec::kSignal:
      return "signal";
    case Codec::kSigset:
      return "sigset";
    case Codec::kEnum:
      return "enum";
    case Codec::kBits:
      return "bits";
    case Codec::kOpenFlags:
      return "open_flags";
    case Codec::kText:
      return "text";
    case Codec::kStrings:
      return "strings";
    case Codec::kRaw:
      return "raw";
    case Codec::kNumbers:
      return "numbers";
    case Codec::kCpulist:
      return "cpulist";
    case Codec::kUuid:
      return "uuid";
    case Codec::kAuxv:
      return "auxv";
    case Codec::kHexdump:
      return "hexdump";
    case Codec::kRanges:
      return "ranges";
    case Codec::kRef:
      return "ref";
    case Codec::kId:
      return "id";
    case Codec::kRefs:
      return "refs";
    case Codec::kFormat:
      return "format";
    case Codec::kPages:
      return "pages";
    case Codec::kPagemap:
      return "pagemap";
    case Codec::kVia:
    case Codec::kViaLeader:
      return "via";
  }
  return "";
}

// The codec of the row that is shown, for rows shown from another object.
absl::string_view CodecOf(const ObjectType& type, const Row& row) {
  const Row* shown = &row;
  if (row.codec == Codec::kViaLeader) {
    shown = FindType(CRFS_TAG_thread)->Find(row.field);
  } else if (row.codec == Codec::kVia) {
    shown = TargetOf(*type.Find(row.target)).Find(row.field);
  }
  return NameOf((shown == nullptr ? row : *shown).codec);
}

bool IsPages(const Place& place) {
  return place.kind == Place::Kind::kObject && place.node->row != nullptr &&
         place.node->row->codec == Codec::kPages;
}

}  // namespace

std::optional<std::string> SchemaXattr(const Place& place, absl::string_view name) {
  if (place.kind == Place::Kind::kTaskView) {
    for (const ViewFile& file : kViewFiles) {
      if (file.place == place.view && name == "doc") return std::string(file.doc);
    }
    if (name == "codec") return place.view == kMemPlace ? "pages" : "raw";
    if (name == "access") return std::string(NameOf(Access::kDerived));
    return std::nullopt;
  }
  if (place.kind == Place::Kind::kBlob) {
    if (name == "doc") return "the image, byte for byte";
    if (name == "codec") return "raw";
    if (name == "access") return std::string(NameOf(Access::kDerived));
    return std::nullopt;
  }
  if (place.kind == Place::Kind::kFixed) {
    // A folder of objects of one type says which.
    if (place.node->place == 0 || place.node->types.size() != 1) return std::nullopt;
    if (name == "type") return std::string(place.node->types[0]->name);
    if (name == "doc") return std::string(place.node->types[0]->doc);
    return std::nullopt;
  }
  if (place.kind != Place::Kind::kObject) return std::nullopt;
  if (name == "type") return std::string(place.type->name);
  if (name == "id") return absl::StrCat(place.id);
  const Row* row = place.node->row;
  if (row == nullptr) {
    if (name == "doc" && place.node->place == 0) return std::string(place.type->doc);
    return std::nullopt;
  }
  if (name == "doc") return std::string(row->doc);
  if (name == "access") return std::string(NameOf(row->access));
  if (name == "restart") return std::string(NameOf(row->restart));
  if (name == "codec") return std::string(CodecOf(*place.type, *row));
  return std::nullopt;
}

std::vector<std::string> Tree::ListXattrs(Inode inode) const {
  std::vector<std::string> names;
  const auto place = State::Locate(inode);
  if (!place.ok()) return names;
  for (const absl::string_view name : kSchemaXattrs) {
    if (SchemaXattr(*place, name).has_value()) names.push_back(absl::StrCat(kXattrsPrefix, name));
  }
  return names;
}

absl::StatusOr<std::string> Tree::GetXattr(Inode inode, absl::string_view name) const {
  const auto place = State::Locate(inode);
  if (!place.ok()) return place.status();
  if (name.substr(0, kXattrsPrefix.size()) == kXattrsPrefix) {
    auto value = SchemaXattr(*place, name.substr(kXattrsPrefix.size()));
    if (value.has_value()) return *std::move(value);
    if (name == kImageXattr && IsPages(*place)) {
      value = ImageXattr(image_fd(), place->id, {});
      if (value.has_value()) return *std::move(value);
    }
  }
  return absl::NotFoundError("there is no such attribute");
}

}  // namespace crfs
