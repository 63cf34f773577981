// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_CLI_PROGRESS_H_
#define CRFS_CLI_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace crfs {

// One line on a terminal (standard error) for work that takes longer than a second: bytes
// done, rate, time left. Says nothing when standard error is no terminal. Not for use by
// several threads at once.
class Progress {
 public:
  explicit Progress(std::string what);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Wipes the line.
  ~Progress();

  // `total` may be 0: not known.
  void Update(uint64_t done, uint64_t total);

 private:
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  absl::Time start_;
  absl::Time next_;
};

// The line itself: "what: 1.2 GiB of 4.0 GiB, 310.0 MiB/s, 9 s left".
std::string ProgressLine(absl::string_view what, uint64_t done, uint64_t total,
                         absl::Duration elapsed);

}  // namespace crfs

#endif  // CRFS_CLI_PROGRESS_H_
