// SPDX-License-Identifier: Apache-2.0

#include "index/codec.h"

#include <cassert>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/codec_families.h"
#include "index/ranges.h"

namespace crfs {
namespace {

// Whether a text is one line, with a newline at its end that is no part of the value.
bool IsOneLine(Codec codec) {
  return codec != Codec::kRaw && codec != Codec::kStrings && codec != Codec::kAuxv &&
         codec != Codec::kRanges;
}

std::string FormatNumber(const Row& row, uint64_t number) {
  switch (row.codec) {
    case Codec::kNsec:
      return codec::FormatNsec(number);
    case Codec::kTime:
      return codec::FormatTime(row.wire == Wire::kS64, number);
    case Codec::kSignal:
      return FormatSignal(number);
    case Codec::kSigset:
      return codec::FormatSigset(number);
    case Codec::kEnum:
    case Codec::kBits:
    case Codec::kOpenFlags:
    case Codec::kPerm:
    case Codec::kHandler:
      return codec::FormatWords(row, number);
    default:
      return codec::FormatPlainNumber(row, number);
  }
}

absl::StatusOr<uint64_t> ParseNumber(const Row& row, absl::string_view text) {
  switch (row.codec) {
    case Codec::kNsec:
      return codec::ParseNsec(text);
    case Codec::kTime:
      return codec::ParseTime(row.wire == Wire::kS64, text);
    case Codec::kSignal:
      return ParseSignal(text);
    case Codec::kSigset:
      return codec::ParseSigset(text);
    case Codec::kEnum:
    case Codec::kBits:
    case Codec::kOpenFlags:
    case Codec::kPerm:
    case Codec::kHandler:
      return codec::ParseWords(row, text);
    default:
      return codec::ParsePlainNumber(row, text);
  }
}

// OUT_OF_RANGE if a parsed number is too big for the row's place on the wire.
absl::Status CheckWidth(const Row& row, uint64_t number) {
  const auto as_signed = static_cast<int64_t>(number);
  if (row.wire == Wire::kU32 && number > UINT32_MAX) {
    return absl::OutOfRangeError("the number does not fit 32 bits");
  }
  if (row.wire == Wire::kS32 && (as_signed < INT32_MIN || as_signed > INT32_MAX)) {
    return absl::OutOfRangeError("the number does not fit 32 bits with a sign");
  }
  return absl::OkStatus();
}

}  // namespace

namespace codec {

absl::Status Unexpected(absl::string_view expected, absl::string_view found) {
  constexpr size_t kShown = 60;
  std::string shown = EscapeText(found.substr(0, kShown));
  if (found.size() > kShown) shown += "...";
  return absl::InvalidArgumentError(absl::StrCat("expected ", expected, ", found \"", shown, "\""));
}

}  // namespace codec

std::string FormatValue(const Row& row, const Value& value) {
  assert(row.wire != Wire::kRef && row.wire != Wire::kNone);
  std::string text = row.wire == Wire::kBytes ? codec::FormatBytes(row.codec, value.bytes)
                                              : FormatNumber(row, value.number);
  if (IsOneLine(row.codec)) text += '\n';
  return text;
}

absl::StatusOr<Value> ParseValue(const Row& row, absl::string_view text) {
  assert(row.wire != Wire::kRef && row.wire != Wire::kNone);
  if (IsOneLine(row.codec)) {
    if (absl::EndsWith(text, "\n")) text.remove_suffix(1);
    if (text.find('\n') != absl::string_view::npos) return codec::Unexpected("one line", text);
  }
  Value value;
  if (row.wire == Wire::kBytes) {
    auto bytes = codec::ParseBytes(row.codec, text);
    if (!bytes.ok()) return bytes.status();
    value.bytes = *std::move(bytes);
    if (absl::Status status = CheckBytes(row, value.bytes); !status.ok()) return status;
    return value;
  }
  const auto number = ParseNumber(row, text);
  if (!number.ok()) return number.status();
  value.number = *number;
  if (absl::Status status = CheckWidth(row, value.number); !status.ok()) return status;
  if (absl::Status status = CheckNumber(row, value.number); !status.ok()) return status;
  return value;
}

absl::Status CheckNumber(const Row& row, uint64_t number) {
  switch (row.codec) {
    case Codec::kEnum:
      for (const Word& word : row.words) {
        if (word.value == number) return absl::OkStatus();
      }
      return absl::InvalidArgumentError(absl::StrCat(number, " stands for no word"));
    case Codec::kSignal:
      if (number <= codec::kMaxSignal) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(
          static_cast<int64_t>(number), " is no signal: signals are 1 to ", codec::kMaxSignal));
    case Codec::kUmask:
      if (number <= 0777) return absl::OkStatus();
      return absl::InvalidArgumentError("a umask is not above 0777");
    case Codec::kPerm:
      if (number <= 0xf) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat("0x", absl::Hex(number), " has bits other than r, w, x and s"));
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckBytes(const Row& row, absl::string_view bytes) {
  switch (row.codec) {
    case Codec::kText:
      if (bytes.find('\0') == absl::string_view::npos) return absl::OkStatus();
      return absl::InvalidArgumentError("a text has a zero byte");
    case Codec::kNumbers:
      if (bytes.size() % 4 == 0) return absl::OkStatus();
      return absl::InvalidArgumentError("a list of numbers is not a multiple of 4 bytes long");
    case Codec::kAuxv:
      if (bytes.size() % 16 == 0) return absl::OkStatus();
      return absl::InvalidArgumentError("an auxiliary vector is not a multiple of 16 bytes long");
    case Codec::kUuid:
      if (bytes.empty() || bytes.size() == 16) return absl::OkStatus();
      return absl::InvalidArgumentError("a uuid is not 16 bytes long");
    case Codec::kCpulist:
      if (bytes.size() > codec::kCpuBytesMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("a set of cpus has more than ", codec::kCpuBytesMax * 8));
      }
      if (bytes.empty() || bytes.back() != '\0') return absl::OkStatus();
      return absl::InvalidArgumentError("a set of cpus has zero bytes at its end");
    case Codec::kRanges:
      return UnpackRanges(bytes).status();
    default:
      return absl::OkStatus();
  }
}

std::string EscapeText(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char byte : bytes) {
    if (byte == '\n') {
      text += "\\012";
    } else if (byte == '\\') {
      text += "\\134";
    } else {
      text += byte;
    }
  }
  return text;
}

absl::StatusOr<std::string> UnescapeText(absl::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  const auto is_octal = [](char c, char greatest) { return c >= '0' && c <= greatest; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (text.size() - i < 4 || !is_octal(text[i + 1], '3') || !is_octal(text[i + 2], '7') ||
        !is_octal(text[i + 3], '7')) {
      return codec::Unexpected("three octal digits after a backslash (a backslash itself is \\134)",
                               text.substr(i));
    }
    bytes +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return bytes;
}

}  // namespace crfs
