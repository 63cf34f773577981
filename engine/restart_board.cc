// SPDX-License-Identifier: Apache-2.0

#include "engine/restart_board.h"

#include <linux/futex.h>
#include <sys/mman.h>

#include <cerrno>
#include <climits>
#include <new>

#include "engine/raw_call.h"

namespace crfs {
namespace {

void Wake(std::atomic<uint32_t>& word) { RawCall(SYS_futex, &word, FUTEX_WAKE, INT_MAX); }

}  // namespace

absl::StatusOr<Board*> Board::Create() {
  void* const memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory for a restart");
  return new (memory) Board();
}

void Board::Destroy(Board* board) { ::munmap(board, sizeof(*board)); }

void Board::Fail(const char* what, uint32_t type, uint64_t id, int error) {
  uint32_t none = kNone;
  if (!failed_.compare_exchange_strong(none, kTelling)) return;
  failure_ = {what, type, id, error};
  failed_.store(kTold, std::memory_order_release);
  for (std::atomic<uint32_t>& gate : at_) Wake(gate);
}

bool Board::Pass(Gate gate, uint32_t count) {
  std::atomic<uint32_t>& at = at_[static_cast<uint32_t>(gate)];
  uint32_t here = at.fetch_add(1, std::memory_order_acq_rel) + 1;
  if (here == count) Wake(at);
  while (here < count && !failed()) {
    RawCall(SYS_futex, &at, FUTEX_WAIT, here, &kLookUp);
    here = at.load(std::memory_order_acquire);
  }
  return !failed();
}

}  // namespace crfs
