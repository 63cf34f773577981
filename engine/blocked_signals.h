// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_ENGINE_BLOCKED_SIGNALS_H_
#define CRFS_ENGINE_BLOCKED_SIGNALS_H_

#include <signal.h>

namespace crfs {

// All signals of the calling thread are blocked for as long as this lives; tasks that are made
// meanwhile begin so, too. To be destroyed by the thread that made it.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // From now on only those of `kept`, and those that were blocked before.
  void LimitTo(const sigset_t& kept) const {
    sigset_t mask;
    ::sigorset(&mask, &before_, &kept);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  }

 private:
  sigset_t before_;
};

}  // namespace crfs

#endif  // CRFS_ENGINE_BLOCKED_SIGNALS_H_
