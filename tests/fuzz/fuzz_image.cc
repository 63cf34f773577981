// SPDX-License-Identifier: Apache-2.0
//
// Any bytes, and the same with their checksums made right: the reader neither crashes nor
// hangs, and what it accepts has exactly one form, the one that it came in.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "index/byte_stream.h"
#include "tests/fuzz/repair.h"
#include "tests/generate/copier.h"

namespace {

void Read(const std::string& image) {
  std::string copy;
  crfs::StringSource source(image);
  crfs::StringSink sink(&copy);
  const absl::Status status = crfs::CopyImage(source, sink);
  if (status.ok()) {
    if (copy != image) std::abort();
    return;
  }
  // The copier would refuse what the reader has accepted.
  if (absl::IsFailedPrecondition(status) || absl::IsInternal(status)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Read(bytes);
  Read(crfs::RepairImage(bytes));
  return 0;
}
