// SPDX-License-Identifier: Apache-2.0

#include "fusefs/log.h"

#include <syslog.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "fusefs/fuse.h"
#include "index/mutex.h"

namespace crfs {
namespace {

std::atomic<bool> to_syslog = false;

// A damaged image can fail every read of a fast reader; the log must not grow with it.
class Budget {
 public:
  // Whether one more message may be written; `*left_out` then says how many were not.
  bool Take(uint64_t* left_out) {
    const MutexLock lock(&mutex_);
    const absl::Time now = absl::Now();
    constexpr double kAtOnce = 10;
    tokens_ = std::min(kAtOnce, tokens_ + absl::ToDoubleSeconds(now - last_));
    last_ = now;
    if (tokens_ < 1) {
      ++left_out_;
      return false;
    }
    tokens_ -= 1;
    *left_out = left_out_;
    left_out_ = 0;
    return true;
  }

 private:
  Mutex mutex_;
  double tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_ ABSL_GUARDED_BY(mutex_) = absl::UnixEpoch();
  uint64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Kept through exit: other threads may still log while static objects go.
Budget& SharedBudget() {
  static Budget* const budget = new Budget;
  return *budget;
}

std::string& Captured() {
  static std::string* const text = new std::string;
  return *text;
}

std::string FormatMessage(const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof(line), format, arguments);
  const absl::string_view text = absl::StripAsciiWhitespace(line);
  return std::string(absl::StripPrefix(text, "fuse: "));
}

void Capture(enum fuse_log_level level, const char* format, va_list arguments) {
  if (level > FUSE_LOG_WARNING || !Captured().empty()) return;
  Captured() = FormatMessage(format, arguments);
}

void Forward(enum fuse_log_level level, const char* format, va_list arguments) {
  if (level > FUSE_LOG_WARNING) return;
  LogError(absl::StrCat("libfuse: ", FormatMessage(format, arguments)));
}

}  // namespace

void LogError(absl::string_view message) {
  uint64_t left_out = 0;
  if (!SharedBudget().Take(&left_out)) return;
  std::string line(message);
  if (left_out > 0) absl::StrAppend(&line, " (", left_out, " more messages left out before)");
  if (to_syslog) {
    syslog(LOG_ERR, "%s", line.c_str());
  } else {
    std::fprintf(stderr, "crfs: %s\n", line.c_str());
  }
}

void LogToSyslog() {
  openlog("crfs", LOG_PID, LOG_DAEMON);
  to_syslog = true;
}

FuseLogCapture::FuseLogCapture() {
  Captured().clear();
  fuse_set_log_func(Capture);
}

FuseLogCapture::~FuseLogCapture() { fuse_set_log_func(Forward); }

std::string FuseLogCapture::text() const { return Captured(); }

}  // namespace crfs
