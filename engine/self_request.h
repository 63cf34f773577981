// SPDX-License-Identifier: Apache-2.0
//
// The other end of lib/request.h: a program that saves itself has asked crfs to, and looks for the
// answer in its own memory.

#ifndef CRFS_ENGINE_SELF_REQUEST_H_
#define CRFS_ENGINE_SELF_REQUEST_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/request.h"

namespace crfs {

// Stateless but for where the request is; any thread.
class SelfRequest {
 public:
  // `words`: PID:ADDRESS:TICKET.
  static absl::StatusOr<SelfRequest> Parse(absl::string_view words);

  pid_t pid() const { return pid_; }

  // Waits until the program may be frozen. An error: it is gone, or has made no such request.
  absl::Status AwaitReady() const;

  // Answers in the memory of `process`: the program, or a copy of it. A request that is not there
  // (any more) gets no answer: FAILED_PRECONDITION. For the states that are no failure.
  absl::Status Answer(pid_t process, crfs_request_state state) const;
  absl::Status AnswerFailure(int error, absl::string_view text) const;

 private:
  SelfRequest(pid_t pid, uint64_t address, uint64_t ticket)
      : pid_(pid), address_(address), ticket_(ticket) {}
  absl::StatusOr<crfs_request> Read(pid_t process) const;

  pid_t pid_;
  uint64_t address_;
  uint64_t ticket_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_SELF_REQUEST_H_
