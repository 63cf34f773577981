// SPDX-License-Identifier: Apache-2.0
//
// What libcrfs.map lists; all else is hidden.

#ifndef CRFS_LIB_EXPORT_H_
#define CRFS_LIB_EXPORT_H_

#define CRFS_EXPORT __attribute__((visibility("default")))

#endif  // CRFS_LIB_EXPORT_H_
