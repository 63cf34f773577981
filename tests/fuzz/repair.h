// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_TESTS_FUZZ_REPAIR_H_
#define CRFS_TESTS_FUZZ_REPAIR_H_

#include <string>

namespace crfs {

// Makes the checksums, lengths, fillings, counts and digest of bytes that may be an image
// fit, as far as they go, so that a fuzzer gets past them to the rules behind.
std::string RepairImage(std::string bytes);

}  // namespace crfs

#endif  // CRFS_TESTS_FUZZ_REPAIR_H_
