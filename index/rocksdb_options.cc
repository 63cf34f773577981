// SPDX-License-Identifier: Apache-2.0

#include "index/rocksdb_options.h"

#include <rocksdb/env.h>

#include <cstdarg>
#include <memory>

namespace crfs {
namespace {

// Without it RocksDB keeps a growing LOG beside the data.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace

rocksdb::BlockBasedTableOptions TableOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 8 << 10;
  // Most reads are of a key that exists, and the index blocks of an index are small: they
  // are read when it is opened and stay, which costs less than looking for them in a cache.
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  return table;
}

rocksdb::Options DatabaseOptions(const rocksdb::BlockBasedTableOptions& table) {
  rocksdb::Options options;
  options.info_log = std::make_shared<NoLog>();
  options.compression = rocksdb::kNoCompression;
  options.disable_auto_compactions = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  // Files are opened with the database and stay open: what is deleted meanwhile does no harm.
  options.max_open_files = -1;
  options.max_file_opening_threads = 1;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace crfs
