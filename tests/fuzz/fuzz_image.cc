// SPDX-License-Identifier: Apache-2.0
//
// Any bytes, and the same with their checksums made right: the reader neither crashes nor
// hangs, and what it accepts has exactly one form: the one that it came in, or, of an image of an
// earlier format version, the one that today's has.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "crfs/image.h"
#include "crfs/schema.h"
#include "index/byte_stream.h"
#include "tests/fuzz/repair.h"
#include "tests/generate/copier.h"

namespace {

absl::Status Copy(const std::string& image, std::string* copy) {
  crfs::StringSource source(image);
  crfs::StringSink sink(copy);
  return crfs::CopyImage(source, sink);
}

bool IsOfThisVersion(const std::string& image) {
  crfs_image_header header;
  if (image.size() < sizeof(header)) return false;
  std::memcpy(&header, image.data(), sizeof(header));
  return header.format == CRFS_FORMAT_VERSION;
}

void Read(const std::string& image) {
  std::string copy, again;
  const absl::Status status = Copy(image, &copy);
  if (status.ok()) {
    if (IsOfThisVersion(image) && copy != image) std::abort();
    if (!Copy(copy, &again).ok() || again != copy) std::abort();
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
