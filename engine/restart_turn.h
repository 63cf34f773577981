// SPDX-License-Identifier: Apache-2.0
//
// Tasks in the making that share an address space share the C library's state in it, which
// takes them for one thread: only one of them runs at a time.

#ifndef CRFS_ENGINE_RESTART_TURN_H_
#define CRFS_ENGINE_RESTART_TURN_H_

#include <atomic>
#include <cstdint>

#include "engine/restart_board.h"

namespace crfs {

// Of one address space, and in it. Who has the turn gives it back before he waits for others,
// and for good before he leaves the C library behind. May be used without a thread area.
class Turn {
 public:
  // It is taken by who makes the address space.
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // False: the restart has failed meanwhile.
  bool Take(const Board& board);
  void GiveBack();

 private:
  std::atomic<uint32_t> taken_{1};
};

}  // namespace crfs

#endif  // CRFS_ENGINE_RESTART_TURN_H_
