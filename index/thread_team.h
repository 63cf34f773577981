// SPDX-License-Identifier: Apache-2.0
//
// Threads that share a piece of work with whoever starts them.

#ifndef CRFS_INDEX_THREAD_TEAM_H_
#define CRFS_INDEX_THREAD_TEAM_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace crfs {

// Runs `work` once in each of up to `count` new threads: fewer, or none, where the system has
// no more to give, so the caller must get all of it done by itself as well. The threads have
// ended when this is destroyed. Not for use by several threads at once.
class ThreadTeam {
 public:
  ThreadTeam(size_t count, const std::function<void()>& work) {
    threads_.reserve(count);
    try {
      while (threads_.size() < count) threads_.emplace_back(work);
    } catch (const std::system_error&) {  // that is how std::jthread tells
    }
  }

  // A thread for each processor but the caller's, and no more than `most`.
  static size_t Others(size_t most) {
    return std::min<size_t>(std::max(std::thread::hardware_concurrency(), 1U) - 1, most);
  }

 private:
  std::vector<std::jthread> threads_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_THREAD_TEAM_H_
