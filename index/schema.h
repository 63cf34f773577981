// SPDX-License-Identifier: Apache-2.0
//
// The schema of include/crfs/schema.h as typed constant tables. This is the only view of
// it that C++ code has: index/schema.cc alone expands the macros. Everything here is
// immutable, lives for the whole program and may be read from any thread.

#ifndef CRFS_INDEX_SCHEMA_H_
#define CRFS_INDEX_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/strings/string_view.h"

namespace crfs {

// The columns of a row; crfs/schema.h explains each word.
enum class Wire : uint8_t { kU32, kS32, kU64, kS64, kRef, kBytes, kNone };
enum class Access : uint8_t { kRo, kRw, kDerived, kKey, kOwner };
enum class Restart : uint8_t { kRestore, kCheck, kInfo };
enum class Source : uint8_t { kKernel, kEngine, kNone };
enum class Key : uint8_t { kSingle, kId, kNumber, kSignal, kRange };

// The text forms of values. Word lists (enumerations and flag bits) are two codecs; which
// list is in Row::words.
enum class Codec : uint8_t {
  kDec,        // decimal
  kHex,        // 0x and lower-case hexadecimal
  kHex8,       // eight digits, as in /proc/PID/personality
  kOct,        // octal with one leading 0
  kUmask,      // four octal digits, as in /proc/PID/status
  kOffset,     // at least eight hexadecimal digits, as in /proc/PID/maps
  kDev,        // major:minor, hexadecimal, as in /proc/PID/maps; the value is major << 32 | minor
  kNsec,       // seconds with nine decimals; the value is in nanoseconds
  kTime,       // RFC 3339, UTC, nine decimals; the value is nanoseconds since the epoch
  kLimit,      // decimal, or `unlimited`
  kPerm,       // rwxp, as in /proc/PID/maps
  kHandler,    // default, ignore, or an address
  kSignal,     // SIGHUP, SIGRTMIN+3, ..., or 0
  kSigset,     // signals by name, separated by blanks
  kEnum,       // one word of Row::words
  kBits,       // words of Row::words, separated by blanks
  kOpenFlags,  // as kBits, with the access mode first
  // codecs of `bytes` rows
  kText,     // one line; newline and backslash as \ooo
  kStrings,  // NUL-separated strings, one a line, escaped likewise
  kRaw,      // the bytes themselves
  kNumbers,  // little-endian u32s, decimal, separated by blanks
  kCpulist,  // a bitmap of cpus, as in cpuset(7): 0-3,8
  kUuid,     // 16 bytes as 8-4-4-4-12, or an empty line for none
  kAuxv,     // (type, value) pairs of u64, one a line: AT_PHDR 0x400040
  kHexdump,  // bytes as hexadecimal digits
  kRanges,   // (begin, end) pairs of u64 offsets, a line each (index/ranges.h)
  // references, and rows that are not stored
  kRef,        // a relative symbolic link to the object
  kId,         // the object id
  kRefs,       // how many references the image holds to the object
  kFormat,     // the format version of the image
  kPages,      // the memory of the object
  kPagemap,    // which pages of it are saved, a range of offsets a line (index/pagemap.h)
  kVia,        // the row of the same field in what the row named `via` refers to
  kViaLeader,  // the same in the first thread of a task
};

struct Word {
  uint64_t value;  // of the enumeration; a bit number for flag words
  absl::string_view name;
};

struct ObjectType;

struct Row {
  absl::string_view field;  // unique within the object
  absl::string_view path;   // below the object's directory; empty: not shown
  Wire wire;
  Codec codec;
  Access access;
  Restart restart;
  Source source;
  uint16_t since;   // format version
  uint16_t index;   // position in ObjectType::rows
  uint32_t offset;  // in the wire struct; of kNone rows 0
  uint32_t size;    // bytes in the wire struct; of kNone rows 0
  absl::string_view doc;
  std::span<const Word> words;  // of kEnum, kBits and kOpenFlags
  absl::string_view target;     // kRef: name of the type referred to; kVia: field of the reference
};

struct ObjectType {
  absl::string_view name;
  uint32_t tag;             // record type
  absl::string_view owner;  // name of the owning type; empty: none
  absl::string_view place;
  Key key;
  uint32_t size;   // of the wire struct
  uint16_t index;  // position in ObjectTypes()
  absl::string_view doc;
  std::span<const Row> rows;

  // The row with this field name, or nullptr.
  const Row* Find(absl::string_view field) const;
};

// All object types, in ascending order of their tags.
std::span<const ObjectType> ObjectTypes();

// nullptr if there is no such type.
const ObjectType* FindType(uint32_t tag);
const ObjectType* FindType(absl::string_view name);

// The type whose directories hold objects of `type`, or nullptr.
const ObjectType* OwnerOf(const ObjectType& type);
// The type that `row`, with Wire::kRef, refers to.
const ObjectType& TargetOf(const Row& row);
// The first row with this access, or nullptr: the owner reference or the (first) key.
const Row* FindAccess(const ObjectType& type, Access access);

}  // namespace crfs

#endif  // CRFS_INDEX_SCHEMA_H_
