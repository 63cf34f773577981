// SPDX-License-Identifier: Apache-2.0

#include "engine/ptrace_tracer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "engine/blocked_signals.h"
#include "index/edit_error.h"
#include "index/unique_fd.h"

namespace crfs {
namespace {

// What the child tells: any number of kProgress (two numbers), one kResult.
enum class Kind : uint64_t { kProgress = 1, kResult = 2 };
struct Head {
  Kind kind;
  uint64_t length;  // of what follows
};

void Put(std::string& bytes, uint64_t number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void Put(std::string& bytes, absl::string_view text) {
  Put(bytes, uint64_t{text.size()});
  bytes.append(text.data(), text.size());
}

// Both ends are the same program: what it reads is what it wrote.
uint64_t TakeNumber(absl::string_view& bytes) {
  uint64_t number = 0;
  if (bytes.size() < sizeof(number)) return 0;
  std::memcpy(&number, bytes.data(), sizeof(number));
  bytes.remove_prefix(sizeof(number));
  return number;
}

std::string TakeText(absl::string_view& bytes) {
  const uint64_t length = TakeNumber(bytes);
  std::string text(bytes.substr(0, length));
  bytes.remove_prefix(text.size());
  return text;
}

std::string Pack(const absl::StatusOr<CheckpointResult>& result) {
  std::string bytes;
  Put(bytes, static_cast<uint64_t>(result.status().code()));
  Put(bytes, result.status().message());
  Put(bytes, static_cast<uint64_t>(EditErrno(result.status()).value_or(0)));
  if (!result.ok()) return bytes;
  Put(bytes, result->tasks.size());
  for (const pid_t pid : result->tasks) Put(bytes, static_cast<uint64_t>(pid));
  Put(bytes, result->memory);
  Put(bytes, result->frozen_ns);
  Put(bytes, result->unsupported.size());
  for (const std::string& line : result->unsupported) Put(bytes, absl::string_view(line));
  return bytes;
}

absl::StatusOr<CheckpointResult> Unpack(absl::string_view bytes) {
  const auto code = static_cast<absl::StatusCode>(TakeNumber(bytes));
  const std::string message = TakeText(bytes);
  const int error = static_cast<int>(TakeNumber(bytes));
  if (code != absl::StatusCode::kOk) {
    const absl::Status status(code, message);
    return error == 0 ? status : WithErrno(status, error);
  }
  CheckpointResult result;
  for (uint64_t left = TakeNumber(bytes); left > 0; --left) {
    result.tasks.push_back(static_cast<pid_t>(TakeNumber(bytes)));
  }
  result.memory = TakeNumber(bytes);
  result.frozen_ns = TakeNumber(bytes);
  for (uint64_t left = TakeNumber(bytes); left > 0; --left) {
    result.unsupported.push_back(TakeText(bytes));
  }
  return result;
}

void Send(int fd, Kind kind, absl::string_view body) {
  const Head head = {kind, body.size()};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes.append(body.data(), body.size());
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // crfs is dead, and so will be this
    done += static_cast<size_t>(put);
  }
}

bool Receive(int fd, void* buffer, size_t length) {
  for (size_t done = 0; done < length;) {
    const ssize_t got = ::read(fd, static_cast<char*>(buffer) + done, length - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

[[noreturn]] void BeTracer(
    int tell, pid_t maker, const CheckpointOptions& options,
    absl::FunctionRef<absl::StatusOr<CheckpointResult>(const CheckpointOptions&)> take) {
  ::setpgid(0, 0);
  ::signal(SIGTTOU, SIG_IGN);  // it may write to the terminal from the background
  ::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != maker) ::_exit(1);  // it died before
  CheckpointOptions own = options;
  if (options.progress) {
    own.progress = [tell](uint64_t done, uint64_t total) {
      std::string body;
      Put(body, done);
      Put(body, total);
      Send(tell, Kind::kProgress, body);
    };
  }
  const std::string result = Pack(take(own));
  Send(tell, Kind::kResult, result);
  ::_exit(0);
}

}  // namespace

absl::StatusOr<CheckpointResult> TakeInTracer(
    const CheckpointOptions& options,
    absl::FunctionRef<absl::StatusOr<CheckpointResult>(const CheckpointOptions&)> take) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "a pipe");
  const UniqueFd listen(ends[0]);
  UniqueFd tell(ends[1]);
  const pid_t maker = ::getpid();
  const pid_t tracer = ::fork();
  if (tracer < 0) return absl::ErrnoToStatus(errno, "a process that traces cannot be made");
  if (tracer == 0) BeTracer(tell.get(), maker, options, take);
  tell.reset();
  absl::StatusOr<CheckpointResult> result = WithErrno(
      absl::AbortedError("the process that took the checkpoint was killed: the tasks go on, no "
                         "image is left"),
      ECANCELED);
  Head head;
  while (Receive(listen.get(), &head, sizeof(head))) {
    std::string body(head.length, '\0');
    if (!Receive(listen.get(), body.data(), body.size())) break;
    if (head.kind == Kind::kResult) {
      result = Unpack(body);
      break;
    }
    absl::string_view numbers = body;
    const uint64_t done = TakeNumber(numbers);
    options.progress(done, TakeNumber(numbers));
  }
  while (::waitpid(tracer, nullptr, 0) < 0 && errno == EINTR) {
  }
  return result;
}

}  // namespace crfs
