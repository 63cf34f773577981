// SPDX-License-Identifier: Apache-2.0

#ifndef CRFS_LIB_CALLBACKS_H_
#define CRFS_LIB_CALLBACKS_H_

// Call what crfs_checkpoint_callbacks() has registered.
void crfs_call_before(void);
void crfs_call_after(void);
void crfs_call_restarted(void);

#endif  // CRFS_LIB_CALLBACKS_H_
