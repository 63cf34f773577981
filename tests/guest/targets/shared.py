#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parent and child share memory and a file position; a second child is a zombie."""

import mmap
import os
import sys
import time

ready, folder = sys.argv[1:3]
shared = mmap.mmap(-1, 1 << 20)  # shared, anonymous
shared[0:6] = b"parent"
both = os.open("/etc/services", os.O_RDONLY)
if os.fork() == 0:
    os._exit(7)
if os.fork() == 0:
    shared[8192:8197] = b"child"
    os.read(both, 77)
    open(ready, "w").close()
    while True:
        time.sleep(3600)
while True:
    time.sleep(3600)
