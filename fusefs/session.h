// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_SESSION_H_
#define CRFS_FUSEFS_SESSION_H_

#include <pthread.h>

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fusefs/fuse.h"
#include "fusefs/mount_options.h"
#include "index/mutex.h"

namespace crfs {

// A tree mounted on a directory, from Mount until it is destroyed, which unmounts it if
// nobody else has (lazily if it is in use).
class Session {
 public:
  // What the kernel may ask for, and what it is asked of: userdata for fuse_session_new.
  struct Service {
    const fuse_lowlevel_ops& operations;
    void* target;  // must outlive the session
    bool writable;
    fuse_session** session = nullptr;  // where to put what the target calls the kernel by
  };

  // options.directory is an absolute path.
  static absl::StatusOr<std::unique_ptr<Session>> Mount(const Service& service,
                                                        const MountOptions& options);
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

  Session() = default;

  std::unique_ptr<fuse_session, Destroy> session_;
  bool is_mounted_ = false;
  Mutex mutex_;
  std::optional<pthread_t> server_ ABSL_GUARDED_BY(mutex_);  // the thread within Serve
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_SESSION_H_
