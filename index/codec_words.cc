// SPDX-License-Identifier: Apache-2.0

#include <bit>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "index/codec_families.h"

namespace crfs::codec {
namespace {

// The access mode of open(2), by its number.
constexpr absl::string_view kAccessModes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
constexpr uint64_t kAccessMask = 3;

// The bits of `prot`: those of mmap(2), and whether the mapping is shared.
constexpr uint64_t kRead = 1, kWrite = 2, kExecute = 4, kShared = 8;

const Word* FindWord(const Row& row, uint64_t value) {
  for (const Word& word : row.words) {
    if (word.value == value) return &word;
  }
  return nullptr;
}

const Word* FindWord(const Row& row, absl::string_view name) {
  for (const Word& word : row.words) {
    if (word.name == name) return &word;
  }
  return nullptr;
}

std::string AllWords(const Row& row) {
  return absl::StrJoin(row.words, ", ",
                       [](std::string* out, const Word& word) { absl::StrAppend(out, word.name); });
}

std::string FormatBits(const Row& row, uint64_t number) {
  std::string text;
  if (row.codec == Codec::kOpenFlags) {
    absl::StrAppend(&text, kAccessModes[number & kAccessMask]);
    number &= ~kAccessMask;
  }
  while (number != 0) {
    const auto bit = static_cast<uint64_t>(std::countr_zero(number));
    number &= number - 1;
    if (!text.empty()) text += ' ';
    if (const Word* word = FindWord(row, bit); word != nullptr) {
      absl::StrAppend(&text, word->name);
    } else {
      absl::StrAppend(&text, "bit", bit);
    }
  }
  return text;
}

// The bit that `name` stands for; false if it is none of the row.
bool ParseBit(const Row& row, absl::string_view name, uint64_t& bit) {
  if (const Word* word = FindWord(row, name); word != nullptr) {
    bit = word->value;
    return true;
  }
  const uint64_t width = row.wire == Wire::kU32 ? 32 : 64;
  const uint64_t first = row.codec == Codec::kOpenFlags ? 2 : 0;
  if (!absl::StartsWith(name, "bit") || !ParseDecimal(name.substr(3), bit)) return false;
  const bool leading_zero = name.size() > 4 && name[3] == '0';
  return bit >= first && bit < width && !leading_zero && FindWord(row, bit) == nullptr;
}

absl::StatusOr<uint64_t> ParseBits(const Row& row, absl::string_view text) {
  uint64_t number = 0;
  absl::string_view words = text;
  if (row.codec == Codec::kOpenFlags) {
    const absl::string_view mode = words.substr(0, words.find(' '));
    bool found = false;
    for (uint64_t i = 0; i <= kAccessMask; ++i) {
      if (kAccessModes[i] != mode) continue;
      number = i;
      found = true;
    }
    if (!found) return Unexpected("O_RDONLY, O_WRONLY or O_RDWR as the first word", text);
    if (words.size() == mode.size()) return number;
    words.remove_prefix(mode.size() + 1);
  } else if (words.empty()) {
    return number;
  }
  for (const absl::string_view name : absl::StrSplit(words, ' ')) {
    uint64_t bit = 0;
    if (!ParseBit(row, name, bit)) {
      return Unexpected(absl::StrCat("words of: ", AllWords(row), ", with one blank between"),
                        name);
    }
    if ((number >> bit & 1) != 0) return Unexpected("each word once", name);
    number |= uint64_t{1} << bit;
  }
  return number;
}

std::string FormatPerm(uint64_t number) {
  return {(number & kRead) != 0 ? 'r' : '-', (number & kWrite) != 0 ? 'w' : '-',
          (number & kExecute) != 0 ? 'x' : '-', (number & kShared) != 0 ? 's' : 'p'};
}

absl::StatusOr<uint64_t> ParsePerm(absl::string_view text) {
  for (uint64_t number = 0; number < 16; ++number) {
    if (FormatPerm(number) == text) return number;
  }
  return Unexpected("a protection such as rw-p", text);
}

// sa_handler values that are no addresses.
constexpr absl::string_view kHandlers[] = {"default", "ignore"};

absl::StatusOr<uint64_t> ParseHandler(absl::string_view text) {
  for (uint64_t i = 0; i < std::size(kHandlers); ++i) {
    if (kHandlers[i] == text) return i;
  }
  uint64_t address = 0;
  if (!absl::StartsWith(text, "0x") || !ParseHexadecimal(text.substr(2), 1, address)) {
    return Unexpected("`default`, `ignore` or an address (0x and hexadecimal digits)", text);
  }
  if (address < std::size(kHandlers)) {
    return Unexpected(absl::StrCat("`", kHandlers[address], "` for this address"), text);
  }
  return address;
}

}  // namespace

std::string FormatWords(const Row& row, uint64_t number) {
  switch (row.codec) {
    case Codec::kEnum:
      if (const Word* word = FindWord(row, number); word != nullptr) return std::string(word->name);
      return absl::StrCat(number);
    case Codec::kPerm:
      return FormatPerm(number);
    case Codec::kHandler:
      if (number < std::size(kHandlers)) return std::string(kHandlers[number]);
      return absl::StrCat("0x", absl::Hex(number));
    default:
      return FormatBits(row, number);
  }
}

absl::StatusOr<uint64_t> ParseWords(const Row& row, absl::string_view text) {
  switch (row.codec) {
    case Codec::kEnum:
      if (const Word* word = FindWord(row, text); word != nullptr) return word->value;
      return Unexpected(absl::StrCat("one of: ", AllWords(row)), text);
    case Codec::kPerm:
      return ParsePerm(text);
    case Codec::kHandler:
      return ParseHandler(text);
    default:
      return ParseBits(row, text);
  }
}

}  // namespace crfs::codec
