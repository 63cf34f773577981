// SPDX-License-Identifier: Apache-2.0

#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace crfs {
namespace {

constexpr absl::Duration kQuiet = absl::Seconds(1);
constexpr absl::Duration kInterval = absl::Milliseconds(200);

std::string Bytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", bytes, kUnits[unit]);
}

}  // namespace

std::string ProgressLine(absl::string_view what, uint64_t done, uint64_t total,
                         absl::Duration elapsed) {
  const double rate = done / std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  std::string line = absl::StrCat(what, ": ", Bytes(done));
  if (total > 0) absl::StrAppend(&line, " of ", Bytes(total));
  absl::StrAppend(&line, ", ", Bytes(rate), "/s");
  if (total > done && rate > 0) {
    absl::StrAppendFormat(&line, ", %.0f s left", (total - done) / rate);
  }
  return line;
}

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(absl::Now()),
      next_(start_ + kQuiet) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::Update(uint64_t done, uint64_t total) {
  if (!terminal_) return;
  const absl::Time now = absl::Now();
  if (now < next_) return;
  next_ = now + kInterval;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%s", ProgressLine(what_, done, total, now - start_).c_str());
  std::fflush(stderr);
}

}  // namespace crfs
