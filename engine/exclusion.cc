// SPDX-License-Identifier: Apache-2.0

#include "engine/exclusion.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "index/codec.h"

namespace crfs {
namespace {

constexpr uint64_t kPage = 4096;

// Mappings that the kernel makes, and the one that the program stands on.
constexpr absl::string_view kNeeded[] = {"[stack]", "[vdso]", "[vvar]", "[vvar_vclock]",
                                         "[vsyscall]"};

// Digits and nothing else: no sign, no blanks.
template <typename Number>
bool ParseDigits(absl::string_view text, int base, Number& number) {
  const char* const end = text.data() + text.size();
  if (text.empty() || text.front() == '-') return false;
  const std::from_chars_result result = std::from_chars(text.data(), end, number, base);
  return result.ec == std::errc() && result.ptr == end;
}

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("'", EscapeText(text), "' ", what));
}

absl::StatusOr<Exclusion> ParseRange(absl::string_view text, Exclusion exclusion) {
  const size_t dash = text.find('-');
  absl::string_view from = text.substr(0, dash);
  absl::string_view to = dash == absl::string_view::npos ? "" : text.substr(dash + 1);
  absl::ConsumePrefix(&from, "0x");
  absl::ConsumePrefix(&to, "0x");
  uint64_t begin = 0, end = 0;
  if (!ParseDigits(from, 16, begin) || !ParseDigits(to, 16, end)) {
    return Wrong(exclusion.text,
                 "is not fd:N, vma:NAME or START-END in hexadecimal, nor PID: and "
                 "one of these");
  }
  if (begin >= end) return Wrong(exclusion.text, "ends where it has not begun");
  exclusion.kind = Exclusion::Kind::kRange;
  exclusion.begin = (begin / kPage + (begin % kPage != 0)) * kPage;
  exclusion.end = end / kPage * kPage;
  // The first of the two has wrapped around where no page follows.
  if (exclusion.begin < begin || exclusion.begin >= exclusion.end) {
    return Wrong(exclusion.text, "holds no whole page of 4096 bytes");
  }
  return exclusion;
}

}  // namespace

absl::StatusOr<Exclusion> ParseExclusion(absl::string_view text) {
  Exclusion exclusion;
  exclusion.text = std::string(text);
  absl::string_view rest = text;
  const size_t colon = text.find(':');
  if (colon != absl::string_view::npos && ParseDigits(text.substr(0, colon), 10, exclusion.pid)) {
    if (exclusion.pid == 0) return Wrong(text, "has no pid before its first colon");
    rest.remove_prefix(colon + 1);
  }
  if (absl::ConsumePrefix(&rest, "fd:")) {
    exclusion.kind = Exclusion::Kind::kDescriptor;
    if (ParseDigits(rest, 10, exclusion.fd)) return exclusion;
    return Wrong(text, "names no descriptor: write its number, as in fd:6");
  }
  if (!absl::ConsumePrefix(&rest, "vma:")) return ParseRange(rest, std::move(exclusion));
  if (rest.empty()) return Wrong(text, "names no mapping: write its name, as in vma:[heap]");
  if (std::find(std::begin(kNeeded), std::end(kNeeded), rest) != std::end(kNeeded)) {
    return Wrong(text, "names memory that no program can go on without");
  }
  exclusion.kind = Exclusion::Kind::kName;
  exclusion.name = std::string(rest);
  return exclusion;
}

}  // namespace crfs
