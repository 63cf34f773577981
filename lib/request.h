// SPDX-License-Identifier: Apache-2.0
//
// What libcrfs and the program crfs tell each other, in the memory of the program that is saved:
// they must share no descriptor, since its other end would be outside of the image. C and C++.
//
// The library makes it ready and starts `crfs checkpoint ... --request PID:ADDRESS:TICKET`; from
// then on crfs writes it, and the library waits for `state` to change. What crfs writes while the
// program is frozen differs: COPIED in the program, RESTARTED in the copy that becomes the image.

#ifndef CRFS_LIB_REQUEST_H_
#define CRFS_LIB_REQUEST_H_

#include <stdint.h>

#define CRFS_REQUEST_MAGIC 0x31717263U  // "crq1"; another layout has another one
#define CRFS_REQUEST_TEXT_SIZE 1000     // bytes

enum crfs_request_state {
  CRFS_REQUEST_NONE = 0,
  CRFS_REQUEST_STARTING = 1,   // crfs has to wait: something of its start is still there
  CRFS_REQUEST_READY = 2,      // crfs may freeze the program
  CRFS_REQUEST_COPIED = 3,     // the program goes on, the image is being written
  CRFS_REQUEST_DONE = 4,       // the image is complete
  CRFS_REQUEST_FAILED = 5,     // there is none: `error` and `text` say why
  CRFS_REQUEST_RESTARTED = 6,  // this memory is that of the image
};

struct crfs_request {
  uint32_t state;   // enum crfs_request_state; a futex
  uint32_t magic;   // CRFS_REQUEST_MAGIC
  uint64_t ticket;  // which request it is: crfs leaves another one alone
  int32_t error;    // errno
  uint32_t unused;
  char text[CRFS_REQUEST_TEXT_SIZE];  // ended by a NUL
};

#endif  // CRFS_LIB_REQUEST_H_
