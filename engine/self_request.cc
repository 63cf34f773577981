// SPDX-License-Identifier: Apache-2.0

#include "engine/self_request.h"

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace crfs {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

absl::Status NoRequest(pid_t process) {
  return absl::FailedPreconditionError(
      absl::StrCat("task ", process, ": has not asked to be saved: --request is for libcrfs"));
}

bool Put(pid_t process, uint64_t address, const void* bytes, size_t length) {
  const iovec local = {const_cast<void*>(bytes), length};
  const iovec remote = {reinterpret_cast<void*>(address), length};
  return ::process_vm_writev(process, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(length);
}

absl::Status CannotAnswer(pid_t process) {
  return absl::ErrnoToStatus(errno, absl::StrCat("task ", process, ": cannot be answered"));
}

}  // namespace

absl::StatusOr<SelfRequest> SelfRequest::Parse(absl::string_view words) {
  const std::vector<absl::string_view> parts = absl::StrSplit(words, ':');
  pid_t pid;
  uint64_t address, ticket;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &pid) || pid <= 0 ||
      !absl::SimpleHexAtoi(parts[1], &address) || address % alignof(uint64_t) != 0 ||
      !absl::SimpleAtoi(parts[2], &ticket)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--request ", words, ": is no PID:ADDRESS:TICKET"));
  }
  return SelfRequest(pid, address, ticket);
}

absl::StatusOr<crfs_request> SelfRequest::Read(pid_t process) const {
  crfs_request request;
  const iovec local = {&request, sizeof(request)};
  const iovec remote = {reinterpret_cast<void*>(address_), sizeof(request)};
  const ssize_t got = ::process_vm_readv(process, &local, 1, &remote, 1, 0);
  if (got < 0 && errno == EPERM) {
    return absl::PermissionDeniedError(
        absl::StrCat("task ", process,
                     ": crfs may not ptrace it (ptrace(2)): it is not dumpable, or not yours"));
  }
  if (got != static_cast<ssize_t>(sizeof(request)) || request.magic != CRFS_REQUEST_MAGIC ||
      request.ticket != ticket_) {
    return NoRequest(process);
  }
  return request;
}

absl::Status SelfRequest::AwaitReady() const {
  const absl::Time deadline = absl::Now() + kPatience;
  for (;;) {
    const absl::StatusOr<crfs_request> request = Read(pid_);
    if (!request.ok()) return request.status();
    if (request->state == CRFS_REQUEST_READY) return absl::OkStatus();
    if (request->state != CRFS_REQUEST_STARTING || absl::Now() > deadline) return NoRequest(pid_);
    absl::SleepFor(absl::Microseconds(100));
  }
}

absl::Status SelfRequest::Answer(pid_t process, crfs_request_state state) const {
  if (absl::Status status = Read(process).status(); !status.ok()) return status;
  const uint32_t word = state;
  if (Put(process, address_ + offsetof(crfs_request, state), &word, sizeof(word))) {
    return absl::OkStatus();
  }
  return CannotAnswer(process);
}

// The words first: who sees the state reads them.
absl::Status SelfRequest::AnswerFailure(int error, absl::string_view text) const {
  if (absl::Status status = Read(pid_).status(); !status.ok()) return status;
  char words[CRFS_REQUEST_TEXT_SIZE] = {};
  text.copy(words, sizeof(words) - 1);
  const int32_t number = error;
  if (!Put(pid_, address_ + offsetof(crfs_request, text), words, sizeof(words)) ||
      !Put(pid_, address_ + offsetof(crfs_request, error), &number, sizeof(number))) {
    return CannotAnswer(pid_);
  }
  return Answer(pid_, CRFS_REQUEST_FAILED);
}

}  // namespace crfs
