// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_SESSION_H_
#define CRFS_FUSEFS_SESSION_H_

#include <pthread.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fusefs/mount_options.h"
#include "fusefs/operations.h"
#include "index/mutex.h"
#include "index/tree.h"

namespace crfs {

// A tree mounted on a directory, from Mount until it is destroyed, which unmounts it if
// nobody else has (lazily if it is in use).
class Session {
 public:
  // `tree` must outlive the session; options.directory is an absolute path. `ready` is
  // called during Serve, in another thread, once the kernel has agreed.
  static absl::StatusOr<std::unique_ptr<Session>> Mount(const Tree& tree,
                                                        const MountOptions& options,
                                                        std::function<void()> ready);
  ~Session();

  // Answers the kernel until the file system is unmounted or stopped.
  absl::Status Serve();
  // Makes Serve return soon, also one that is yet to be called. May be called from any
  // thread, but misses a Serve that is just about to sleep: repeat it until Serve returns.
  void Stop();

 private:
  struct Destroy {
    void operator()(fuse_session* session) const { fuse_session_destroy(session); }
  };

  Session(const Tree& tree, std::function<void()> ready) : mounted_{tree, std::move(ready)} {}

  Mounted mounted_;
  std::unique_ptr<fuse_session, Destroy> session_;
  bool is_mounted_ = false;
  Mutex mutex_;
  std::optional<pthread_t> server_ ABSL_GUARDED_BY(mutex_);  // the thread within Serve
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_SESSION_H_
