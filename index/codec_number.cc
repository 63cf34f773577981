// SPDX-License-Identifier: Apache-2.0

#include <charconv>
#include <cstdint>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "index/codec.h"
#include "index/codec_families.h"

namespace crfs {

std::string FormatRange(uint64_t start, uint64_t end) {
  return absl::StrFormat("%08x-%08x", start, end);
}

namespace codec {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

bool IsSigned(const Row& row) { return row.wire == Wire::kS32 || row.wire == Wire::kS64; }

template <typename T>
bool ParseDigits(absl::string_view text, int base, T& number) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number, base);
  return result.ec == std::errc() && result.ptr == end;
}

// Whether `text` is only digits of the base; then a failure means that it is too big.
bool AllDigits(absl::string_view text, absl::string_view digits) {
  return !text.empty() && text.find_first_not_of(digits) == absl::string_view::npos;
}

absl::Status TooBig() { return absl::OutOfRangeError("the number does not fit 64 bits"); }

absl::StatusOr<uint64_t> ParseDec(bool is_signed, absl::string_view text) {
  constexpr absl::string_view kDigits = "0123456789";
  absl::string_view digits = text;
  if (is_signed && absl::StartsWith(digits, "-")) digits.remove_prefix(1);
  const bool zeros = digits.size() > 1 && digits.front() == '0';
  if (!AllDigits(digits, kDigits) || zeros) return Unexpected("a decimal number", text);
  if (is_signed) {
    int64_t number = 0;
    if (!ParseDigits(text, 10, number)) return TooBig();
    if (number == 0 && digits.size() != text.size()) return Unexpected("a decimal number", text);
    return static_cast<uint64_t>(number);
  }
  uint64_t number = 0;
  if (!ParseDigits(text, 10, number)) return TooBig();
  return number;
}

absl::StatusOr<uint64_t> ParseHexDigits(absl::string_view digits, size_t least, size_t most,
                                        absl::string_view expected, absl::string_view text) {
  if (!AllDigits(digits, "0123456789abcdefABCDEF") || digits.size() < least ||
      digits.size() > most) {
    return Unexpected(expected, text);
  }
  uint64_t number = 0;
  if (!ParseDigits(digits, 16, number)) return TooBig();
  return number;
}

absl::StatusOr<uint64_t> ParseOctal(absl::string_view text, size_t digits,
                                    absl::string_view expected) {
  if (!AllDigits(text, "01234567") || text.front() != '0' ||
      (digits != 0 && text.size() != digits)) {
    return Unexpected(expected, text);
  }
  uint64_t number = 0;
  if (!ParseDigits(text, 8, number)) return TooBig();
  return number;
}

absl::StatusOr<uint64_t> ParseDev(absl::string_view text) {
  constexpr absl::string_view kExpected = "a device as major:minor in hexadecimal (08:01)";
  const size_t colon = text.find(':');
  uint64_t major = 0, minor = 0;
  if (colon == absl::string_view::npos || !ParseHexadecimal(text.substr(0, colon), 2, major) ||
      !ParseHexadecimal(text.substr(colon + 1), 2, minor)) {
    return Unexpected(kExpected, text);
  }
  if (major > UINT32_MAX || minor > UINT32_MAX) {
    return absl::OutOfRangeError("a major or minor number does not fit 32 bits");
  }
  return major << 32 | minor;
}

}  // namespace

bool ParseDecimal(absl::string_view text, uint64_t& number) {
  return AllDigits(text, "0123456789") && ParseDigits(text, 10, number);
}

bool ParseHexadecimal(absl::string_view text, size_t least_digits, uint64_t& number) {
  return text.size() >= least_digits && AllDigits(text, "0123456789abcdefABCDEF") &&
         ParseDigits(text, 16, number);
}

std::string FormatPlainNumber(const Row& row, uint64_t number) {
  switch (row.codec) {
    case Codec::kHex:
      return absl::StrCat("0x", absl::Hex(number));
    case Codec::kHex8:
      return absl::StrFormat("%08x", number);
    case Codec::kOct:
      return number == 0 ? "0" : absl::StrFormat("0%o", number);
    case Codec::kUmask:
      return absl::StrFormat("%04o", number);
    case Codec::kOffset:
      return absl::StrFormat("%08x", number);
    case Codec::kDev:
      return absl::StrFormat("%02x:%02x", number >> 32, number & UINT32_MAX);
    case Codec::kLimit:
      return number == kUnlimited ? "unlimited" : absl::StrCat(number);
    default:
      break;
  }
  return IsSigned(row) ? absl::StrCat(static_cast<int64_t>(number)) : absl::StrCat(number);
}

absl::StatusOr<uint64_t> ParsePlainNumber(const Row& row, absl::string_view text) {
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  switch (row.codec) {
    case Codec::kHex:
      if (!absl::StartsWith(text, "0x")) return Unexpected("0x and hexadecimal digits", text);
      return ParseHexDigits(text.substr(2), 1, kAny, "0x and hexadecimal digits", text);
    case Codec::kHex8:
      return ParseHexDigits(text, 8, 8, "eight hexadecimal digits", text);
    case Codec::kOct:
      return ParseOctal(text, 0, "an octal number that begins with 0");
    case Codec::kUmask:
      return ParseOctal(text, 4, "four octal digits (0022)");
    case Codec::kOffset:
      return ParseHexDigits(text, 8, kAny, "at least eight hexadecimal digits", text);
    case Codec::kDev:
      return ParseDev(text);
    case Codec::kLimit: {
      if (text == "unlimited") return kUnlimited;
      auto number = ParseDec(/*is_signed=*/false, text);
      if (absl::IsInvalidArgument(number.status())) {
        return Unexpected("a decimal number or `unlimited`", text);
      }
      return number;
    }
    default:
      return ParseDec(IsSigned(row), text);
  }
}

}  // namespace codec
}  // namespace crfs
