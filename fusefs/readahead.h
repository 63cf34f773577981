// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_FUSEFS_READAHEAD_H_
#define CRFS_FUSEFS_READAHEAD_H_

#include "absl/strings/string_view.h"

namespace crfs {

// Lets the kernel read further ahead in the mount at `directory` (an absolute path) than
// the 128 KiB that it begins with: to `bytes`. Works for root alone, between mounting and
// the first answer to the kernel. Without it all is the same, but large files read slower;
// so failure is no error.
void RaiseReadAhead(absl::string_view directory, unsigned bytes);

}  // namespace crfs

#endif  // CRFS_FUSEFS_READAHEAD_H_
