// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_STOP_SIGNALS_H_
#define CRFS_FUSEFS_STOP_SIGNALS_H_

#include <signal.h>

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "index/mutex.h"

namespace crfs {

// SIGTERM, SIGINT and SIGHUP, from construction on taken by a thread of its own. Make it
// before any other thread, so that all of them leave these signals alone.
//
// At first, a signal ends the process as ever.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // From now on, a signal is only remembered.
  void Hold();
  // After a signal, remembered or yet to come, calls `stop` in another thread, again and
  // again until Release.
  void Deliver(std::function<void()> stop);
  // No more calls. From now on signals are ignored.
  void Release();

 private:
  void Run();

  sigset_t signals_;
  Mutex mutex_;
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> stop_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the others
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_STOP_SIGNALS_H_
