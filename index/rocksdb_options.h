// SPDX-License-Identifier: Apache-2.0
//
// What crfs tells RocksDB about memory, threads and files. For the files that include
// RocksDB alone.

#ifndef CRFS_INDEX_ROCKSDB_OPTIONS_H_
#define CRFS_INDEX_ROCKSDB_OPTIONS_H_

#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>

#include "absl/strings/string_view.h"

namespace crfs {

rocksdb::BlockBasedTableOptions TableOptions();
rocksdb::Options DatabaseOptions(const rocksdb::BlockBasedTableOptions& table);

inline rocksdb::Slice SliceOf(absl::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline absl::string_view ViewOf(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace crfs

#endif  // CRFS_INDEX_ROCKSDB_OPTIONS_H_
