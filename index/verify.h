// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_VERIFY_H_
#define CRFS_INDEX_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace crfs {

// Reads the whole image, data and all, and checks every rule. `path` "-" is standard input.
// `progress` is called now and then with the bytes read and all of them (0: not known); it
// may be empty. Errors as ReadImage gives them, with the path.
absl::Status VerifyImage(const std::string& path,
                         const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace crfs

#endif  // CRFS_INDEX_VERIFY_H_
