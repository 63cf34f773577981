// SPDX-License-Identifier: Apache-2.0

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/time/civil_time.h"
#include "index/codec_families.h"

namespace crfs::codec {
namespace {

constexpr int64_t kNanos = 1'000'000'000;
// Wide enough for a sum of seconds of 64 bits and their nanoseconds.
__extension__ using Wide = __int128;

// The digits after the point, at most nine, as nanoseconds.
bool ParseFraction(absl::string_view digits, uint64_t& nanos) {
  if (digits.size() > 9 || !ParseDecimal(digits, nanos)) return false;
  for (size_t i = digits.size(); i < 9; ++i) nanos *= 10;
  return true;
}

// `width` digits at the front of `text` and the character after them, both taken off.
bool TakeDigits(absl::string_view& text, size_t width, char after, uint64_t& number) {
  if (text.size() <= width || text[width] != after) return false;
  if (!ParseDecimal(text.substr(0, width), number)) return false;
  text.remove_prefix(width + 1);
  return true;
}

}  // namespace

std::string FormatNsec(uint64_t nanoseconds) {
  return absl::StrFormat("%d.%09d", nanoseconds / kNanos, nanoseconds % kNanos);
}

absl::StatusOr<uint64_t> ParseNsec(absl::string_view text) {
  constexpr absl::string_view kExpected = "seconds, with at most nine decimals (1.500000000)";
  const size_t point = text.find('.');
  uint64_t seconds = 0, nanos = 0;
  const absl::string_view whole = text.substr(0, point);
  if (whole.empty() || whole.find_first_not_of("0123456789") != absl::string_view::npos) {
    return Unexpected(kExpected, text);
  }
  if (point != absl::string_view::npos && !ParseFraction(text.substr(point + 1), nanos)) {
    return Unexpected(kExpected, text);
  }
  const bool fits = ParseDecimal(whole, seconds);
  const Wide total = Wide{seconds} * kNanos + nanos;
  if (!fits || total > UINT64_MAX) {
    return absl::OutOfRangeError("the time does not fit 64 bits of nanoseconds");
  }
  return static_cast<uint64_t>(total);
}

std::string FormatTime(bool is_signed, uint64_t nanoseconds) {
  const Wide total = is_signed ? Wide{static_cast<int64_t>(nanoseconds)} : Wide{nanoseconds};
  // Rounded down, so that the fraction is never negative.
  auto seconds = static_cast<int64_t>(total / kNanos);
  auto nanos = static_cast<int64_t>(total % kNanos);
  if (nanos < 0) {
    nanos += kNanos;
    --seconds;
  }
  const absl::CivilSecond civil = absl::CivilSecond() + seconds;
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", civil.year(), civil.month(),
                         civil.day(), civil.hour(), civil.minute(), civil.second(), nanos);
}

absl::StatusOr<uint64_t> ParseTime(bool is_signed, absl::string_view text) {
  constexpr absl::string_view kExpected = "a time in UTC such as 2026-01-31T23:59:59.000000000Z";
  absl::string_view rest = text;
  uint64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, nanos = 0;
  if (!absl::EndsWith(rest, "Z")) return Unexpected(kExpected, text);
  if (rest.find('.') == absl::string_view::npos) {
    if (!TakeDigits(rest, 4, '-', year) || !TakeDigits(rest, 2, '-', month) ||
        !TakeDigits(rest, 2, 'T', day) || !TakeDigits(rest, 2, ':', hour) ||
        !TakeDigits(rest, 2, ':', minute) || !TakeDigits(rest, 2, 'Z', second) || !rest.empty()) {
      return Unexpected(kExpected, text);
    }
  } else {
    if (!TakeDigits(rest, 4, '-', year) || !TakeDigits(rest, 2, '-', month) ||
        !TakeDigits(rest, 2, 'T', day) || !TakeDigits(rest, 2, ':', hour) ||
        !TakeDigits(rest, 2, ':', minute) || !TakeDigits(rest, 2, '.', second)) {
      return Unexpected(kExpected, text);
    }
    rest.remove_suffix(1);
    if (!ParseFraction(rest, nanos)) return Unexpected(kExpected, text);
  }
  const absl::CivilSecond civil(static_cast<int64_t>(year), static_cast<int>(month),
                                static_cast<int>(day), static_cast<int>(hour),
                                static_cast<int>(minute), static_cast<int>(second));
  // CivilSecond carries what is too big (the 31st of February) over: such a date is none.
  if (civil.month() != static_cast<int>(month) || civil.day() != static_cast<int>(day) ||
      civil.hour() != static_cast<int>(hour) || civil.minute() != static_cast<int>(minute) ||
      civil.second() != static_cast<int>(second)) {
    return Unexpected(kExpected, text);
  }
  const Wide total = Wide{civil - absl::CivilSecond()} * kNanos + nanos;
  const Wide least = is_signed ? Wide{INT64_MIN} : Wide{0};
  const Wide most = is_signed ? Wide{INT64_MAX} : Wide{UINT64_MAX};
  if (total < least || total > most) {
    return absl::OutOfRangeError("the time does not fit 64 bits of nanoseconds since 1970");
  }
  return static_cast<uint64_t>(total);
}

}  // namespace crfs::codec
