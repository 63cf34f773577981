// SPDX-License-Identifier: Apache-2.0

#include "fusefs/stop_signals.h"

#include <pthread.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace crfs {
namespace {

constexpr absl::Duration kAgain = absl::Milliseconds(10);

}  // namespace

StopSignals::StopSignals() {
  ::sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { Run(); });
}

StopSignals::~StopSignals() {
  Release();
  // Ends the wait for a signal if there was none; otherwise it stays pending, and blocked.
  ::pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void StopSignals::Hold() {
  const MutexLock lock(&mutex_);
  hold_ = true;
}

void StopSignals::Deliver(std::function<void()> stop) {
  const MutexLock lock(&mutex_);
  hold_ = true;
  stop_ = std::move(stop);
  mutex_.Signal();
}

void StopSignals::Release() {
  const MutexLock lock(&mutex_);
  hold_ = true;
  stop_ = nullptr;
  ended_ = true;
  mutex_.Signal();
}

void StopSignals::Run() {
  int signal = 0;
  if (::sigwait(&signals_, &signal) != 0) return;
  {
    const MutexLock lock(&mutex_);
    if (!hold_) {
      // Ends the process here: nobody has changed what the signal does.
      ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
      ::raise(signal);
    }
    while (!ended_ && stop_ == nullptr) mutex_.Wait();
  }
  for (;; absl::SleepFor(kAgain)) {
    const MutexLock lock(&mutex_);
    if (ended_) return;
    stop_();
  }
}

}  // namespace crfs
