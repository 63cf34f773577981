// SPDX-License-Identifier: Apache-2.0
//
// The edge between libfuse, which is C, and the operations of a mount.

#ifndef CRFS_FUSEFS_GUARD_H_
#define CRFS_FUSEFS_GUARD_H_

#include <cerrno>
#include <new>

#include "fusefs/fuse.h"
#include "fusefs/reply.h"

namespace crfs {

// Runs body(reply). No exception gets past it, and whatever happens the request is answered.
template <typename Body>
void Guard(fuse_req_t request, Body body) noexcept {
  Reply reply(request);
  try {
    body(reply);
  } catch (const std::bad_alloc&) {
    if (!reply.answered()) reply.Error(ENOMEM);
  } catch (...) {
    if (!reply.answered()) reply.Error(EIO);
  }
}

// What a session works on: its userdata.
template <typename Target>
Target& TargetOf(fuse_req_t request) {
  return *static_cast<Target*>(fuse_req_userdata(request));
}

// Makes an operation for libfuse of a function that takes what the session works on, the
// reply, and the operation's arguments.
template <auto operation>
struct Guarded;

template <typename Target, typename... Arguments, void (*operation)(Target&, Reply&, Arguments...)>
struct Guarded<operation> {
  static void Run(fuse_req_t request, Arguments... arguments) noexcept {
    Guard(request,
          [&](Reply& reply) { operation(TargetOf<Target>(request), reply, arguments...); });
  }
};

}  // namespace crfs

#endif  // CRFS_FUSEFS_GUARD_H_
