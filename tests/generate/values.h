// SPDX-License-Identifier: Apache-2.0
//
// Values for any row: at random over all that the row can hold, and the ones at its edges.

#ifndef CRFS_TESTS_GENERATE_VALUES_H_
#define CRFS_TESTS_GENERATE_VALUES_H_

#include <cstdint>
#include <vector>

#include "index/record.h"
#include "index/schema.h"

namespace crfs {

// Numbers that are the same on every machine (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Below `bound`, which is not 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  bool OneIn(uint64_t bound) { return Below(bound) == 0; }

 private:
  uint64_t state_;
};

// `row` must be stored and no reference. Long values (up to some 20 KiB) are rare.
Value RandomValue(const Row& row, Random& random);
// The least and the greatest, empty and long ones, and those that are hard to write as text.
std::vector<Value> EdgeValues(const Row& row);

}  // namespace crfs

#endif  // CRFS_TESTS_GENERATE_VALUES_H_
