// SPDX-License-Identifier: Apache-2.0
//
// Makes images out of nothing, of any size, for tests and benchmarks.

#ifndef CRFS_TESTS_GENERATE_GENERATE_H_
#define CRFS_TESTS_GENERATE_GENERATE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "index/byte_stream.h"

namespace crfs {

struct GenerateOptions {
  uint64_t seed = 1;     // the same options give the same image
  uint64_t tasks = 4;    // 1 to a million, each with threads, mm, vmas, descriptors, ...; each
                         // fourth is a zombie
  uint64_t objects = 0;  // files, descriptors and vmas are added until there are this many
  uint64_t memory = 0;   // bytes of memory; 0: a few pages with holes between them. From 64
                         // MiB on, the first vma has more extents than one record holds; the
                         // rest is in the third vma of each mm, in extents of many MiB.
};

// Writes a valid image that uses every object type and every row (with values from the
// whole range of each), with shared objects, references and sparse memory. Memory used does
// not depend on the size of the image. Errors are the sink's, and INVALID_ARGUMENT.
absl::Status GenerateImage(const GenerateOptions& options, ByteSink& sink);

}  // namespace crfs

#endif  // CRFS_TESTS_GENERATE_GENERATE_H_
