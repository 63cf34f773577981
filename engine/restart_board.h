// SPDX-License-Identifier: Apache-2.0
//
// What the coordinator of a restart and the tasks in the making tell each other, in memory
// that all of them share. May be used by threads without a thread area.

#ifndef CRFS_ENGINE_RESTART_BOARD_H_
#define CRFS_ENGINE_RESTART_BOARD_H_

#include <time.h>

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"

namespace crfs {

// Where all tasks wait for one another.
enum class Gate : uint32_t {
  kMade,       // all tasks are there, in their sessions
  kLeading,    // all leaders of process groups lead them
  kGrouped,    // all are in their process groups
  kDescribed,  // all have their descriptors
  kThreaded,   // all have their threads
  kHelped,     // all address spaces have their builders
  kCount,
};

class Board {
 public:
  // Nobody is woken when a task is killed, so whoever waits for another looks up now and then.
  static constexpr timespec kLookUp = {.tv_sec = 0, .tv_nsec = 100'000'000};

  // Lives in shared memory, which goes away with the process that made it and its children.
  static absl::StatusOr<Board*> Create();
  static void Destroy(Board* board);

  // The first failure counts: what could not be done, a string literal; the object's type tag
  // and id; an errno, positive. Wakes all who wait.
  void Fail(const char* what, uint32_t type, uint64_t id, int error);
  bool failed() const { return failed_.load(std::memory_order_acquire) == kTold; }

  struct Failure {
    const char* what;
    uint32_t type;
    uint64_t id;
    int error;
  };
  // Once failed().
  const Failure& failure() const { return failure_; }

  // One task is at the gate: waits until all `count` are. False: the restart has failed.
  bool Pass(Gate gate, uint32_t count);

  // Counts a thread that has joined.
  void AddJoined() { joined_.fetch_add(1, std::memory_order_acq_rel); }
  uint32_t joined() const { return joined_.load(std::memory_order_acquire); }

 private:
  static constexpr uint32_t kNone = 0;
  static constexpr uint32_t kTelling = 1;
  static constexpr uint32_t kTold = 2;

  std::atomic<uint32_t> failed_{kNone};
  Failure failure_{};
  std::atomic<uint32_t> at_[static_cast<uint32_t>(Gate::kCount)] = {};
  std::atomic<uint32_t> joined_{0};
};

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_BOARD_H_
