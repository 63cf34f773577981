#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Threads in several system calls, open files of several kinds, handlers, pending signals."""

import ctypes
import mmap
import os
import select
import signal
import sys
import threading
import time

ready, folder = sys.argv[1:3]
libc = ctypes.CDLL(None, use_errno=True)


def sleeper():
    while True:
        time.sleep(3600)


def poller(fd):
    while True:
        select.select([fd], [], [])


def counter():
    i = 0
    while True:
        i += 1


signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 3, signal.SIGHUP})
os.kill(os.getpid(), signal.SIGHUP)  # stays pending
os.umask(0o027)
reader, writer = os.pipe()
os.write(writer, b"not yet read")
log = os.open(f"{folder}/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.write(log, b"twelve bytes")
text = open("/etc/services")
text.read(100)
gone = os.open(f"{folder}/path with\nnewline", os.O_CREAT | os.O_RDWR)
duplicate = os.dup(log)
os.set_inheritable(duplicate, True)
null = open("/dev/null", "w")
sparse = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for offset in range(0, len(sparse), 5 << 20):
    sparse[offset] = 0x5A
copied = mmap.mmap(text.fileno(), 8192, flags=mmap.MAP_PRIVATE,
                   prot=mmap.PROT_READ | mmap.PROT_WRITE)
copied[4096] = 0x42
libc.prctl(15, b"main thread", 0, 0, 0)
idle_reader, idle_writer = os.pipe()  # nobody ever writes
for work in (sleeper, sleeper, lambda: poller(idle_reader), counter):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
open(ready, "w").close()
while True:
    time.sleep(0.05)
