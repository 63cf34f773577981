// SPDX-License-Identifier: Apache-2.0
//
// build_index IMAGE DIR: builds the index of an image in DIR, which must be empty, and then
// writes as many entries, of keys and values as long, with SstFileWriter alone. Prints
// seconds of both, the peak of the first one's resident memory in KiB, and how many entries.

#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "index/index.h"
#include "index/no_sync_env.h"

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Entries {
  uint64_t count = 0;
  uint64_t key_bytes = 0;
  uint64_t value_bytes = 0;
};

bool BuildIndex(const char* image, const char* directory) {
  crfs::IndexOptions options;
  options.directory = directory;
  const auto index = crfs::Index::Open(image, options);
  if (!index.ok()) std::fprintf(stderr, "%s\n", index.status().ToString().c_str());
  return index.ok();
}

// In a process of its own, so that its memory is known. Its peak, in KiB; 0 on failure.
long BuildInChild(const char* image, const char* directory) {
  const pid_t child = ::fork();
  if (child == 0) std::_Exit(BuildIndex(image, directory) ? 0 : 1);
  int status = 0;
  rusage usage = {};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0) return 0;
  return usage.ru_maxrss;
}

// Those of the first database below a directory.
Entries CountEntries(const char* directory) {
  Entries entries;
  for (const auto& each : std::filesystem::recursive_directory_iterator(directory)) {
    if (each.path().filename() != "CURRENT") continue;
    rocksdb::DB* raw = nullptr;
    const std::string path = each.path().parent_path();
    if (!rocksdb::DB::OpenForReadOnly(rocksdb::Options(), path, &raw).ok()) break;
    const std::unique_ptr<rocksdb::DB> database(raw);
    const std::unique_ptr<rocksdb::Iterator> at(database->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      ++entries.count;
      entries.key_bytes += at->key().size();
      entries.value_bytes += at->value().size();
    }
    break;
  }
  return entries;
}

bool WriteAlone(const Entries& entries, const std::string& path) {
  rocksdb::Options options;
  options.compression = rocksdb::kNoCompression;
  options.env = crfs::NoSyncEnv();  // the index does not wait for the disk either
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  if (!writer.Open(path).ok()) return false;
  std::string key(std::max<uint64_t>(entries.key_bytes / entries.count, 8), 'k');
  const std::string value(entries.value_bytes / entries.count, 'v');
  for (uint64_t i = 0; i < entries.count; ++i) {
    for (size_t byte = 0; byte < 8; ++byte) {
      key[key.size() - 1 - byte] = static_cast<char>(i >> 8 * byte);
    }
    if (!writer.Put(key, value).ok()) return false;
  }
  return writer.Finish().ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "Usage: build_index IMAGE DIR\n");
    return 2;
  }
  const Clock::time_point begin = Clock::now();
  const long peak = BuildInChild(argv[1], argv[2]);
  const double ours = Since(begin);
  const Entries entries = CountEntries(argv[2]);
  if (peak == 0 || entries.count == 0) return 1;
  const std::string path = std::string(argv[2]) + "/alone.sst";
  const Clock::time_point middle = Clock::now();
  if (!WriteAlone(entries, path)) return 1;
  std::printf("%.6f %.6f %ld %llu\n", ours, Since(middle), peak,
              static_cast<unsigned long long>(entries.count));
  return 0;
}
