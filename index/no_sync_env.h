// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_INDEX_NO_SYNC_ENV_H_
#define CRFS_INDEX_NO_SYNC_ENV_H_

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace crfs {

// An environment for RocksDB that writes without waiting for the disk. An index is a cache:
// what a crash of the machine leaves of it fails its checksums and is built again. Lives for
// the whole program; any thread.
rocksdb::Env* NoSyncEnv();

}  // namespace crfs

#endif  // CRFS_INDEX_NO_SYNC_ENV_H_
