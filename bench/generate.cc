// SPDX-License-Identifier: Apache-2.0
//
// generate IMAGE TASKS OBJECTS MEMORY: writes a generated image; see GenerateOptions.

#include "tests/generate/generate.h"

#include <cstdint>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "index/byte_stream.h"

int main(int argc, char** argv) {
  crfs::GenerateOptions options;
  if (argc != 5 || !absl::SimpleAtoi(argv[2], &options.tasks) ||
      !absl::SimpleAtoi(argv[3], &options.objects) || !absl::SimpleAtoi(argv[4], &options.memory)) {
    std::fprintf(stderr, "Usage: generate IMAGE TASKS OBJECTS MEMORY\n");
    return 2;
  }
  absl::StatusOr<crfs::NewFile> image = crfs::NewFile::Create(argv[1]);
  absl::Status status = image.status();
  if (status.ok()) status = crfs::GenerateImage(options, *image);
  if (status.ok()) status = image->Commit();
  if (status.ok()) return 0;
  std::fprintf(stderr, "generate: %s: %s\n", argv[1], status.ToString().c_str());
  return 1;
}
