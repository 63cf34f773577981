// SPDX-License-Identifier: Apache-2.0
//
// What the fuzzers of the module share. Each is a case whose name begins with `fuzz`, and runs
// for a number of seconds with numbers that follow from one seed, which is printed.

#ifndef CRFS_TESTS_KMOD_FUZZ_H_
#define CRFS_TESTS_KMOD_FUZZ_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "restarter.h"

namespace kmod_test {

// splitmix64: the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t bound) { return bound ? Next() % bound : 0; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename List>
  auto& Of(List& list) {
    return list[Below(std::size(list))];
  }
  // A number that checks often get wrong: edges of user memory, of the kernel, of types.
  uint64_t Edge();

 private:
  uint64_t state_;
};

// How often each outcome was seen; what is printed at the end.
class Tally {
 public:
  void Add(const std::string& outcome) { counts_[outcome]++; }
  void AddError(const std::string& step, int error);  // a negative errno
  std::string Text() const;

 private:
  std::map<std::string, uint64_t> counts_;
};

// Prints the seed, calls `round` with it and its successors until the time is over (set by
// --seconds, or `seconds`), and prints the tally. A reason that a round returns ends it.
std::string Fuzz(const char* name, double seconds,
                 const std::function<std::string(Random&, Tally&)>& round);

// Runs `body` in a process of its own, which is killed after `seconds`. All that it leaves
// comes to this process and is killed and reaped. Returns body's, or "" if it was killed.
std::string Apart(double seconds, const std::function<std::string()>& body);

// Gives up all rights but that to choose pids. False if that fails.
bool BecomeNobody();

// Is it one of the errors that include/crfs/ioctl.h lists for the steps of a restart?
bool IsDocumented(int error);

// A program with two threads, a sleep, pending signals, handlers, files, locked and shared
// memory; saved, and gone.
const Saved& ProgramToSpoil();
// The same records, with open files and memory of its own.
Saved Copy(const Saved& saved);

}  // namespace kmod_test

#endif  // CRFS_TESTS_KMOD_FUZZ_H_
