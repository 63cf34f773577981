// SPDX-License-Identifier: Apache-2.0
//
// Where a mounted file system says what nobody waits for: standard error in the
// foreground, syslog in the background. May be called from any thread.

#ifndef CRFS_FUSEFS_LOG_H_
#define CRFS_FUSEFS_LOG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace crfs {

// At most one message a second and ten at once; what is left out is counted in the next.
void LogError(absl::string_view message);

// From now on messages go to syslog. Call it before there are threads that log.
void LogToSyslog();

// While it lives, what libfuse says is kept instead of printed, so that it can become part
// of one error message. There may be one at a time; libfuse must not be used by other
// threads meanwhile. Afterwards, what libfuse says is logged.
class FuseLogCapture {
 public:
  FuseLogCapture();
  FuseLogCapture(const FuseLogCapture&) = delete;
  FuseLogCapture& operator=(const FuseLogCapture&) = delete;
  ~FuseLogCapture();

  // The first line that was said, or an empty string.
  std::string text() const;
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_LOG_H_
