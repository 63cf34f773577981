#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program that the tour checkpoints: threads at work, open files, a pipe half read."""

import os
import sys
import threading
import time

SENTENCE = "a sentence that lives in memory alone, " + "-".join("crfs")


def count(counters, i):
    while True:
        counters[i] += 1
        time.sleep(0.01)


def main():
    folder = sys.argv[1]
    log = open(os.path.join(folder, "log.txt"), "w")
    log.write("three threads are counting\n")
    log.flush()
    words = open("/etc/passwd")
    words.readline()
    reader, writer = os.pipe()
    os.write(writer, b"written, not yet read\n")

    counters = [0, 0, 0]
    for i in range(len(counters)):
        threading.Thread(target=count, args=(counters, i), name=f"count-{i}", daemon=True).start()
    open(os.path.join(folder, "ready"), "w").close()
    while True:
        time.sleep(1)


main()
