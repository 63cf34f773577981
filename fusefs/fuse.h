// SPDX-License-Identifier: Apache-2.0
//
// The low-level interface of libfuse, at the one version that all of fusefs/ speaks.

#ifndef CRFS_FUSEFS_FUSE_H_
#define CRFS_FUSEFS_FUSE_H_

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif  // CRFS_FUSEFS_FUSE_H_
