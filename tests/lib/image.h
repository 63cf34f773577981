// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_TESTS_LIB_IMAGE_H_
#define CRFS_TESTS_LIB_IMAGE_H_

#include <cstdint>
#include <string>

#include "crfs/crfs.h"
#include "index/loaded_checkpoint.h"

namespace crfs {

// A path for an image of this test; the file goes away with it.
class ImagePath {
 public:
  ImagePath();
  ImagePath(const ImagePath&) = delete;
  ImagePath& operator=(const ImagePath&) = delete;
  ~ImagePath();

  const char* c_str() const { return path_.c_str(); }
  bool exists() const;
  // What is there, checked as `crfs verify` does.
  LoadedCheckpoint Load() const;

 private:
  std::string path_;
};

// Options with a place for words.
struct Options : crfs_checkpoint_options {
  Options() : crfs_checkpoint_options(CRFS_CHECKPOINT_OPTIONS_INIT) {
    error = words;
    error_size = sizeof(words);
  }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  char words[1000] = "";
};

// The bytes at an address of the address space of a task, from the image.
std::string MemoryAt(const LoadedCheckpoint& saved, pid_t pid, uint64_t address, size_t length);

}  // namespace crfs

#endif  // CRFS_TESTS_LIB_IMAGE_H_
