// SPDX-License-Identifier: Apache-2.0

#include "fusefs/capabilities.h"

namespace crfs {
namespace {

constexpr unsigned kWanted =
    FUSE_CAP_ASYNC_READ |       // several reads of one file at once
    FUSE_CAP_PARALLEL_DIROPS |  // lookups in one directory at once
    FUSE_CAP_EXPORT_SUPPORT |   // file handles stay good: inode numbers are computed, or kept
    FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |  // pages of the image, not copies
    FUSE_CAP_READDIRPLUS;  // whoever lists a tree of small files looks at them next

constexpr unsigned kUnwanted =
    FUSE_CAP_AUTO_INVAL_DATA |   // would ask for the size and time before reads
    FUSE_CAP_READDIRPLUS_AUTO |  // the tree has the attributes at hand when it lists
    FUSE_CAP_SPLICE_READ |       // what is written goes through memory in any case
    FUSE_CAP_WRITEBACK_CACHE |   // close(2) is to tell of all that was written
    FUSE_CAP_DONT_MASK |         // the kernel knows the caller's umask
    FUSE_CAP_HANDLE_KILLPRIV;    // there are no set-uid programs

// A link never points elsewhere.
constexpr unsigned kOfImages = FUSE_CAP_CACHE_SYMLINKS;
// What open(2) cuts off is not cut off for good before the descriptor is closed.
constexpr unsigned kOfEdits = FUSE_CAP_ATOMIC_O_TRUNC;

}  // namespace

void Negotiate(fuse_conn_info* connection, Changes changes) {
  const bool image = changes == Changes::kNever;
  connection->want |= connection->capable & (kWanted | (image ? kOfImages : kOfEdits));
  connection->want &= ~(kUnwanted | (image ? kOfEdits : kOfImages));
  connection->max_read = kMaxRead;
  // The kernel takes the lesser of this and what its bdi says (fusefs/readahead.h).
  connection->max_readahead = kReadAhead;
  // Reads ahead are background requests; these many may wait for the image's disk at once.
  connection->max_background = 64;
  connection->congestion_threshold = 48;
}

}  // namespace crfs
