// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_turn.h"

#include <linux/futex.h>

#include "engine/raw_call.h"

namespace crfs {

bool Turn::Take(const Board& board) {
  while (taken_.exchange(1, std::memory_order_acquire) != 0) {
    if (board.failed()) return false;
    RawCall(SYS_futex, &taken_, FUTEX_WAIT_PRIVATE, 1, &Board::kLookUp);
  }
  return !board.failed();
}

void Turn::GiveBack() {
  taken_.store(0, std::memory_order_release);
  RawCall(SYS_futex, &taken_, FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace crfs
