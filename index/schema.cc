// SPDX-License-Identifier: Apache-2.0

#include "index/schema.h"

#include <algorithm>
#include <array>

#include "absl/strings/string_view.h"
#include "crfs/schema.h"

namespace crfs {
namespace {

// ---- word lists -----------------------------------------------------------------------

#define CRFS_CXX_WORD(value, name) Word{value, #name},
#define CRFS_CXX_ENUM(list) constexpr Word kWords_##list[] = {CRFS_ENUM_##list(CRFS_CXX_WORD)};
#define CRFS_CXX_BITS(list) constexpr Word kWords_##list[] = {CRFS_BITS_##list(CRFS_CXX_WORD)};
CRFS_ENUM_LISTS(CRFS_CXX_ENUM)
CRFS_BITS_LISTS(CRFS_CXX_BITS)

// ---- what each word in the codec column means -------------------------------------------

struct CodecWord {
  absl::string_view name;
  Codec codec;
  std::span<const Word> words;
  absl::string_view target;
};

constexpr CodecWord kPlainCodecs[] = {
    {"dec", Codec::kDec, {}, {}},
    {"hex", Codec::kHex, {}, {}},
    {"hex8", Codec::kHex8, {}, {}},
    {"oct", Codec::kOct, {}, {}},
    {"umask", Codec::kUmask, {}, {}},
    {"offset", Codec::kOffset, {}, {}},
    {"dev", Codec::kDev, {}, {}},
    {"nsec", Codec::kNsec, {}, {}},
    {"time", Codec::kTime, {}, {}},
    {"limit", Codec::kLimit, {}, {}},
    {"perm", Codec::kPerm, {}, {}},
    {"handler", Codec::kHandler, {}, {}},
    {"signal", Codec::kSignal, {}, {}},
    {"sigset", Codec::kSigset, {}, {}},
    {"text", Codec::kText, {}, {}},
    {"strings", Codec::kStrings, {}, {}},
    {"raw", Codec::kRaw, {}, {}},
    {"numbers", Codec::kNumbers, {}, {}},
    {"cpulist", Codec::kCpulist, {}, {}},
    {"uuid", Codec::kUuid, {}, {}},
    {"auxv", Codec::kAuxv, {}, {}},
    {"hexdump", Codec::kHexdump, {}, {}},
    {"id", Codec::kId, {}, {}},
    {"refs", Codec::kRefs, {}, {}},
    {"format", Codec::kFormat, {}, {}},
    {"pages", Codec::kPages, {}, {}},
    {"pagemap", Codec::kPagemap, {}, {}},
    {"ranges", Codec::kRanges, {}, {}},
    {"via_mm", Codec::kVia, {}, "mm"},
    {"via_fs", Codec::kVia, {}, "fs"},
    {"via_leader", Codec::kViaLeader, {}, {}},
};

#define CRFS_CXX_ENUM_CODEC(list) CodecWord{#list, Codec::kEnum, kWords_##list, {}},
#define CRFS_CXX_BITS_CODEC(list) CodecWord{#list, Codec::kBits, kWords_##list, {}},
constexpr CodecWord kWordCodecs[] = {CRFS_ENUM_LISTS(CRFS_CXX_ENUM_CODEC)
                                         CRFS_BITS_LISTS(CRFS_CXX_BITS_CODEC)};

consteval CodecWord CodecOf(Wire wire, absl::string_view name) {
  if (wire == Wire::kRef) return {name, Codec::kRef, {}, name};
  for (const CodecWord& codec : kPlainCodecs) {
    if (codec.name == name) return codec;
  }
  for (CodecWord codec : kWordCodecs) {
    if (codec.name != name) continue;
    if (name == "open_flags") codec.codec = Codec::kOpenFlags;
    return codec;
  }
  throw "a row names a codec that does not exist";
}

// ---- the other columns --------------------------------------------------------------------

constexpr Wire kWire_u32 = Wire::kU32, kWire_s32 = Wire::kS32, kWire_u64 = Wire::kU64,
               kWire_s64 = Wire::kS64, kWire_ref = Wire::kRef, kWire_bytes = Wire::kBytes,
               kWire_none = Wire::kNone;
constexpr Access kAccess_ro = Access::kRo, kAccess_rw = Access::kRw,
                 kAccess_derived = Access::kDerived, kAccess_key = Access::kKey,
                 kAccess_owner = Access::kOwner;
constexpr Restart kRestart_restore = Restart::kRestore, kRestart_check = Restart::kCheck,
                  kRestart_info = Restart::kInfo;
constexpr Source kSource_kernel = Source::kKernel, kSource_engine = Source::kEngine,
                 kSource_none = Source::kNone;
constexpr Key kKey_single = Key::kSingle, kKey_id = Key::kId, kKey_number = Key::kNumber,
              kKey_signal = Key::kSignal, kKey_range = Key::kRange;

consteval Row MakeRow(absl::string_view field, absl::string_view path, Wire wire, CodecWord codec,
                      Access access, Restart restart, Source source, int since, uint32_t size,
                      absl::string_view doc) {
  return Row{.field = field,
             .path = path,
             .wire = wire,
             .codec = codec.codec,
             .access = access,
             .restart = restart,
             .source = source,
             .since = static_cast<uint16_t>(since),
             .index = 0,
             .offset = 0,
             .size = size,
             .doc = doc,
             .words = codec.words,
             .target = codec.target};
}

// Members follow one another without padding (static_asserts of crfs/schema.h), so the
// offset of each is the sum of the sizes before it.
template <size_t N>
consteval std::array<Row, N> PlaceRows(std::array<Row, N> rows) {
  uint32_t offset = 0;
  for (size_t i = 0; i < N; ++i) {
    rows[i].index = static_cast<uint16_t>(i);
    if (rows[i].wire == Wire::kNone) continue;
    rows[i].offset = offset;
    offset += rows[i].size;
  }
  return rows;
}

#define CRFS_CXX_ROW(object, wire, field, path, codec, access, restart, source, since, doc) \
  MakeRow(#field, path, kWire_##wire, CodecOf(kWire_##wire, #codec), kAccess_##access,      \
          kRestart_##restart, kSource_##source, since, CRFS_SIZE_##wire, doc),
#define CRFS_CXX_ROWS(name, ...) \
  constexpr std::array kRows_##name = PlaceRows(std::array{CRFS_ROWS_##name(CRFS_CXX_ROW)});
CRFS_OBJECTS(CRFS_CXX_ROWS)

consteval absl::string_view OwnerName(absl::string_view name) {
  return name == "none" ? absl::string_view() : name;
}

#define CRFS_CXX_OBJECT(name, tag, owner, place, key, frozen, doc)                  \
  ObjectType{#name, tag, OwnerName(#owner), place, kKey_##key, sizeof(crfs_##name), \
             0,     doc, kRows_##name},

template <size_t N>
consteval std::array<ObjectType, N> NumberTypes(std::array<ObjectType, N> types) {
  for (size_t i = 0; i < N; ++i) {
    types[i].index = static_cast<uint16_t>(i);
    if (i > 0 && types[i].tag <= types[i - 1].tag) throw "tags must ascend";
  }
  return types;
}

constexpr std::array kTypes = NumberTypes(std::array{CRFS_OBJECTS(CRFS_CXX_OBJECT)});

}  // namespace

const Row* ObjectType::Find(absl::string_view field) const {
  for (const Row& row : rows) {
    if (row.field == field) return &row;
  }
  return nullptr;
}

std::span<const ObjectType> ObjectTypes() { return kTypes; }

const ObjectType* FindType(uint32_t tag) {
  const auto* it =
      std::lower_bound(kTypes.begin(), kTypes.end(), tag,
                       [](const ObjectType& type, uint32_t t) { return type.tag < t; });
  return it != kTypes.end() && it->tag == tag ? &*it : nullptr;
}

const ObjectType* FindType(absl::string_view name) {
  for (const ObjectType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

const ObjectType* OwnerOf(const ObjectType& type) {
  return type.owner.empty() ? nullptr : FindType(type.owner);
}

const ObjectType& TargetOf(const Row& row) { return *FindType(row.target); }

const Row* FindAccess(const ObjectType& type, Access access) {
  for (const Row& row : type.rows) {
    if (row.access == access) return &row;
  }
  return nullptr;
}

}  // namespace crfs
