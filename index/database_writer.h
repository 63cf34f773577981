// SPDX-License-Identifier: Apache-2.0
//
// Writes the database of an index. Entries go straight into sorted files, one a family of
// keys; those that come out of order within a family are kept and sorted, a bounded number
// at a time. A thread of its own does this, so that reading the image and writing its index
// share the work.

#ifndef CRFS_INDEX_DATABASE_WRITER_H_
#define CRFS_INDEX_DATABASE_WRITER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/keys.h"
#include "index/mutex.h"

namespace rocksdb {
class SstFileWriter;
}  // namespace rocksdb

namespace crfs {

// The files of a database, as they are written. RESOURCE_EXHAUSTED: the file system is full.
// Not for use by several threads at once.
class SortedFiles {
 public:
  explicit SortedFiles(std::string directory);
  ~SortedFiles();

  absl::Status Put(absl::string_view key, absl::string_view value);
  // Makes the database.
  absl::Status Finish();

 private:
  struct Family {
    std::unique_ptr<rocksdb::SstFileWriter> file;
    std::string last;  // key put into it
  };

  absl::StatusOr<std::unique_ptr<rocksdb::SstFileWriter>> NewFile();
  absl::Status FlushRun();

  std::string directory_;
  std::vector<std::unique_ptr<Family>> families_;         // by letter
  std::vector<std::string> files_;                        // in order, and no two overlap
  std::vector<std::string> run_files_;                    // these may overlap
  std::vector<std::pair<std::string, std::string>> run_;  // entries to be sorted
  size_t run_bytes_ = 0;
  int next_file_ = 0;
};

// Not for use by several threads at once. An error of its own thread is returned by a later
// call, at last by Finish.
class DatabaseWriter {
 public:
  // The directory must exist and be empty.
  explicit DatabaseWriter(std::string directory);
  ~DatabaseWriter();
  DatabaseWriter(const DatabaseWriter&) = delete;
  DatabaseWriter& operator=(const DatabaseWriter&) = delete;

  // Each key at most once.
  absl::Status Put(const IndexKey& key, absl::string_view value);
  // Makes the database of all that was put.
  absl::Status Finish();

 private:
  // Entries, one after another: the lengths of key and value, then both.
  using Batch = std::string;

  absl::Status Send();
  void Run();
  static absl::Status PutBatch(absl::string_view batch, SortedFiles* files);
  void Join();

  Batch batch_;
  SortedFiles files_;  // of thread_ while it runs
  Mutex mutex_;
  std::deque<Batch> queue_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // no more will be sent
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace crfs

#endif  // CRFS_INDEX_DATABASE_WRITER_H_
