// SPDX-License-Identifier: Apache-2.0
//
// Turns an image into the entries of its index, in one pass over the stream. Memory: a few
// bytes for each reference of an object, and bounded buffers.

#ifndef CRFS_INDEX_INDEX_BUILDER_H_
#define CRFS_INDEX_INDEX_BUILDER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "index/image_file.h"

namespace crfs {

// Builds the database of `image` in an existing, empty directory. After an error, what is
// in the directory is of no use. Errors of the image are as ReadImage gives them, with its
// path; those of writing the index have no path, and set *index_at_fault.
absl::Status BuildIndex(const ImageFile& image, const std::string& directory,
                        const std::function<void(uint64_t, uint64_t)>& progress,
                        bool* index_at_fault);

}  // namespace crfs

#endif  // CRFS_INDEX_INDEX_BUILDER_H_
