// SPDX-License-Identifier: Apache-2.0

#include "fusefs/session.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fusefs/capabilities.h"
#include "fusefs/log.h"
#include "fusefs/readahead.h"

namespace crfs {
namespace {

// Interrupts the sleep of the thread in Serve; it does nothing else.
constexpr int kWake = SIGUSR2;

// Each keeps one small buffer. More of them than processors pays only while they wait for
// the image's disk.
unsigned MaxThreads() { return std::clamp(2 * std::thread::hardware_concurrency(), 4u, 16u); }

std::string LibfuseOptions(const MountOptions& options, bool writable, bool allow_other) {
  std::string words = absl::StrCat(
      writable ? "rw" : "ro", ",nosuid,nodev,default_permissions,subtype=crfs,max_read=", kMaxRead,
      ",fsname=", EscapeMountOption(options.source.empty() ? options.image : options.source));
  if (allow_other) words += ",allow_other";
  if (options.no_exec) words += ",noexec";
  return words;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Mount(const Service& service,
                                                        const MountOptions& options) {
  const bool allow_other = options.allow_other.value_or(::geteuid() == 0);
  std::unique_ptr<Session> session(new Session());
  const FuseLogCapture said;
  const auto failed = [&](absl::string_view what) {
    return absl::InternalError(
        absl::StrCat(options.directory, ": ", what, said.text().empty() ? "" : ": ", said.text()));
  };

  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  const std::string words = LibfuseOptions(options, service.writable, allow_other);
  for (const char* argument : {"crfs", "-o", words.c_str()}) {
    if (fuse_opt_add_arg(&arguments, argument) != 0) {
      fuse_opt_free_args(&arguments);
      return absl::ResourceExhaustedError("out of memory");
    }
  }
  session->session_.reset(
      fuse_session_new(&arguments, &service.operations, sizeof(fuse_lowlevel_ops), service.target));
  fuse_opt_free_args(&arguments);
  if (session->session_ == nullptr) return failed("cannot start a FUSE session");
  if (service.session != nullptr) *service.session = session->session_.get();
  if (fuse_session_mount(session->session_.get(), options.directory.c_str()) != 0) {
    return failed("cannot mount");
  }
  session->is_mounted_ = true;
  RaiseReadAhead(options.directory, kReadAhead);
  return session;
}

Session::~Session() {
  if (is_mounted_) fuse_session_unmount(session_.get());
}

absl::Status Session::Serve() {
  struct sigaction wake = {};
  wake.sa_handler = [](int) {};
  ::sigaction(kWake, &wake, nullptr);
  // A reader that is killed leaves libfuse with a pipe that nobody empties.
  ::signal(SIGPIPE, SIG_IGN);

  const std::unique_ptr<fuse_loop_config, decltype(&fuse_loop_cfg_destroy)> config(
      fuse_loop_cfg_create(), &fuse_loop_cfg_destroy);
  if (config == nullptr) return absl::ResourceExhaustedError("out of memory");
  fuse_loop_cfg_set_clone_fd(config.get(), 1);
  fuse_loop_cfg_set_max_threads(config.get(), MaxThreads());
  {
    const MutexLock lock(&mutex_);
    server_ = ::pthread_self();
  }
  const int error = fuse_session_loop_mt(session_.get(), config.get());
  {
    const MutexLock lock(&mutex_);
    server_.reset();
  }
  if (error != 0) {
    return absl::InternalError(
        absl::StrCat("the connection to the kernel broke: ", std::strerror(std::abs(error))));
  }
  return absl::OkStatus();
}

void Session::Stop() {
  fuse_session_exit(session_.get());
  const MutexLock lock(&mutex_);
  if (server_.has_value()) ::pthread_kill(*server_, kWake);
}

}  // namespace crfs
