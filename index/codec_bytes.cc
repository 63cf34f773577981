// SPDX-License-Identifier: Apache-2.0

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "index/codec.h"
#include "index/codec_families.h"
#include "index/pagemap.h"
#include "index/ranges.h"

namespace crfs::codec {
namespace {

template <typename T>
T LoadAt(absl::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <typename T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// ---- strings: the zero byte after each becomes a newline, and back ------------------------

std::string FormatStrings(absl::string_view bytes) {
  std::string text = EscapeText(bytes);
  std::replace(text.begin(), text.end(), '\0', '\n');
  return text;
}

absl::StatusOr<std::string> ParseStrings(absl::string_view text) {
  if (text.find('\0') != absl::string_view::npos) return Unexpected("lines of text", text);
  std::string bytes;
  for (;;) {
    const size_t newline = text.find('\n');
    auto line = UnescapeText(text.substr(0, newline));
    if (!line.ok()) return line.status();
    if (line->find('\0') != std::string::npos) {
      return Unexpected("a newline in place of \\000", text.substr(0, newline));
    }
    bytes += *line;
    if (newline == absl::string_view::npos) return bytes;
    bytes += '\0';
    text.remove_prefix(newline + 1);
  }
}

// ---- numbers ------------------------------------------------------------------------------

std::string FormatNumbers(absl::string_view bytes) {
  std::string text;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    absl::StrAppend(&text, i == 0 ? "" : " ", LoadAt<uint32_t>(bytes, i));
  }
  return text;
}

absl::StatusOr<std::string> ParseNumbers(absl::string_view text) {
  std::string bytes;
  if (text.empty()) return bytes;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    uint64_t number = 0;
    if (!ParseDecimal(word, number) || (word.size() > 1 && word[0] == '0')) {
      return Unexpected("decimal numbers with one blank between", text);
    }
    if (number > UINT32_MAX) {
      return absl::OutOfRangeError(absl::StrCat(number, " does not fit 32 bits"));
    }
    Append(bytes, static_cast<uint32_t>(number));
  }
  return bytes;
}

// ---- sets of cpus -------------------------------------------------------------------------

bool HasCpu(absl::string_view bytes, size_t cpu) {
  return cpu / 8 < bytes.size() && (bytes[cpu / 8] >> cpu % 8 & 1) != 0;
}

std::string FormatCpulist(absl::string_view bytes) {
  std::string text;
  for (size_t cpu = 0; cpu < bytes.size() * 8; ++cpu) {
    if (!HasCpu(bytes, cpu)) continue;
    size_t last = cpu;
    while (HasCpu(bytes, last + 1)) ++last;
    absl::StrAppend(&text, text.empty() ? "" : ",", cpu);
    if (last > cpu) absl::StrAppend(&text, "-", last);
    cpu = last;
  }
  return text;
}

absl::StatusOr<std::string> ParseCpulist(absl::string_view text) {
  constexpr absl::string_view kExpected = "cpus in ascending order, such as 0-3,8";
  std::string bytes;
  if (text.empty()) return bytes;
  uint64_t next = 0;  // the least cpu that may come now
  for (const absl::string_view range : absl::StrSplit(text, ',')) {
    const size_t dash = range.find('-');
    uint64_t first = 0, last = 0;
    if (!ParseDecimal(range.substr(0, dash), first)) return Unexpected(kExpected, text);
    last = first;
    if (dash != absl::string_view::npos && !ParseDecimal(range.substr(dash + 1), last)) {
      return Unexpected(kExpected, text);
    }
    if (first < next || last < first) return Unexpected(kExpected, text);
    if (last >= kCpuBytesMax * 8) {
      return absl::OutOfRangeError(absl::StrCat("cpus go up to ", kCpuBytesMax * 8 - 1));
    }
    bytes.resize(last / 8 + 1);
    for (uint64_t cpu = first; cpu <= last; ++cpu) {
      bytes[cpu / 8] = static_cast<char>(bytes[cpu / 8] | 1 << cpu % 8);
    }
    next = last + 1;
  }
  return bytes;
}

// ---- uuid ---------------------------------------------------------------------------------

constexpr size_t kUuidDashes[] = {8, 13, 18, 23};

std::string FormatUuid(absl::string_view bytes) {
  std::string text = absl::BytesToHexString(bytes);
  if (bytes.size() != 16) return text;
  for (const size_t place : kUuidDashes) text.insert(place, 1, '-');
  return text;
}

// Bytes from an even number of lower-case digits.
bool ParseHexBytes(absl::string_view text, std::string& bytes) {
  if (text.size() % 2 != 0 ||
      text.find_first_not_of("0123456789abcdef") != absl::string_view::npos) {
    return false;
  }
  bytes = absl::HexStringToBytes(text);
  return true;
}

absl::StatusOr<std::string> ParseUuid(absl::string_view text) {
  std::string bytes;
  if (text.empty()) return bytes;
  std::string digits(text);
  bool dashes = text.size() == 36;
  for (size_t i = std::size(kUuidDashes); dashes && i > 0; --i) {
    dashes = text[kUuidDashes[i - 1]] == '-';
    digits.erase(kUuidDashes[i - 1], 1);
  }
  if (!dashes || !ParseHexBytes(digits, bytes)) {
    return Unexpected("a uuid, 8-4-4-4-12 hexadecimal digits, or an empty line", text);
  }
  return bytes;
}

absl::StatusOr<std::string> ParseHexdump(absl::string_view text) {
  std::string bytes;
  if (!ParseHexBytes(text, bytes)) return Unexpected("two hexadecimal digits a byte", text);
  return bytes;
}

// ---- auxiliary vector ---------------------------------------------------------------------

#define CRFS_AT(name) \
  { name, #name }
constexpr Word kAuxvTypes[] = {CRFS_AT(AT_NULL),
                               CRFS_AT(AT_IGNORE),
                               CRFS_AT(AT_EXECFD),
                               CRFS_AT(AT_PHDR),
                               CRFS_AT(AT_PHENT),
                               CRFS_AT(AT_PHNUM),
                               CRFS_AT(AT_PAGESZ),
                               CRFS_AT(AT_BASE),
                               CRFS_AT(AT_FLAGS),
                               CRFS_AT(AT_ENTRY),
                               CRFS_AT(AT_NOTELF),
                               CRFS_AT(AT_UID),
                               CRFS_AT(AT_EUID),
                               CRFS_AT(AT_GID),
                               CRFS_AT(AT_EGID),
                               CRFS_AT(AT_PLATFORM),
                               CRFS_AT(AT_HWCAP),
                               CRFS_AT(AT_CLKTCK),
                               CRFS_AT(AT_SECURE),
                               CRFS_AT(AT_BASE_PLATFORM),
                               CRFS_AT(AT_RANDOM),
                               CRFS_AT(AT_HWCAP2),
                               {27, "AT_RSEQ_FEATURE_SIZE"},
                               {28, "AT_RSEQ_ALIGN"},
                               CRFS_AT(AT_EXECFN),
                               CRFS_AT(AT_SYSINFO),
                               CRFS_AT(AT_SYSINFO_EHDR),
                               CRFS_AT(AT_MINSIGSTKSZ)};
#undef CRFS_AT

std::string FormatAuxv(absl::string_view bytes) {
  std::string text;
  for (size_t i = 0; i + 16 <= bytes.size(); i += 16) {
    const auto type = LoadAt<uint64_t>(bytes, i);
    const auto* word = std::ranges::find(kAuxvTypes, type, &Word::value);
    if (word != std::end(kAuxvTypes)) {
      absl::StrAppend(&text, word->name);
    } else {
      absl::StrAppend(&text, type);
    }
    absl::StrAppend(&text, " 0x", absl::Hex(LoadAt<uint64_t>(bytes, i + 8)), "\n");
  }
  return text;
}

absl::StatusOr<std::string> ParseAuxv(absl::string_view text) {
  std::string bytes;
  if (absl::EndsWith(text, "\n")) text.remove_suffix(1);
  if (text.empty()) return bytes;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t blank = line.find(' ');
    const absl::string_view name = line.substr(0, blank);
    uint64_t type = 0, number = 0;
    const auto* word = std::ranges::find(kAuxvTypes, name, &Word::name);
    if (word != std::end(kAuxvTypes)) {
      type = word->value;
    } else if (!ParseDecimal(name, type)) {
      return Unexpected("lines such as AT_PHDR 0x400040", line);
    }
    if (blank == absl::string_view::npos || !absl::StartsWith(line.substr(blank + 1), "0x") ||
        !ParseHexadecimal(line.substr(blank + 3), 1, number)) {
      return Unexpected("lines such as AT_PHDR 0x400040", line);
    }
    Append(bytes, type);
    Append(bytes, number);
  }
  return bytes;
}

// ---- ranges -------------------------------------------------------------------------------

std::string FormatRanges(absl::string_view bytes) {
  std::string text;
  for (size_t i = 0; i + 16 <= bytes.size(); i += 16) {
    absl::StrAppend(&text, FormatRange(LoadAt<uint64_t>(bytes, i), LoadAt<uint64_t>(bytes, i + 8)),
                    "\n");
  }
  return text;
}

absl::StatusOr<std::string> ParseRanges(absl::string_view text) {
  const absl::StatusOr<std::vector<crfs_extent>> ranges =
      ParsePagemap(text, kRangesEnd, kRangesPageSize);
  if (!ranges.ok()) return ranges.status();
  return PackRanges(*ranges);
}

}  // namespace

std::string FormatBytes(Codec codec, absl::string_view bytes) {
  switch (codec) {
    case Codec::kText:
      return EscapeText(bytes);
    case Codec::kStrings:
      return FormatStrings(bytes);
    case Codec::kNumbers:
      return FormatNumbers(bytes);
    case Codec::kCpulist:
      return FormatCpulist(bytes);
    case Codec::kUuid:
      return FormatUuid(bytes);
    case Codec::kAuxv:
      return FormatAuxv(bytes);
    case Codec::kHexdump:
      return absl::BytesToHexString(bytes);
    case Codec::kRanges:
      return FormatRanges(bytes);
    default:
      return std::string(bytes);
  }
}

absl::StatusOr<std::string> ParseBytes(Codec codec, absl::string_view text) {
  switch (codec) {
    case Codec::kText:
      return UnescapeText(text);
    case Codec::kStrings:
      return ParseStrings(text);
    case Codec::kNumbers:
      return ParseNumbers(text);
    case Codec::kCpulist:
      return ParseCpulist(text);
    case Codec::kUuid:
      return ParseUuid(text);
    case Codec::kAuxv:
      return ParseAuxv(text);
    case Codec::kHexdump:
      return ParseHexdump(text);
    case Codec::kRanges:
      return ParseRanges(text);
    default:
      return std::string(text);
  }
}

}  // namespace crfs::codec
