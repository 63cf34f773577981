#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that saves itself, in Python: self_checkpoint.py IMAGE.

It prints what crfs_checkpoint_self() returned: 0, and then `saved` when the image is complete; or 1
in the program that `crfs restart IMAGE` runs on with.
"""
import ctypes
import os
import sys


class Options(ctypes.Structure):
    """struct crfs_checkpoint_options of crfs/crfs.h."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("scope", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("error", ctypes.c_void_p),
        ("error_size", ctypes.c_size_t),
    ]


library = ctypes.CDLL("libcrfs.so.0", use_errno=True)
error = ctypes.create_string_buffer(1000)


def checked(result):
    """A failure becomes an exception with the words of crfs."""
    if result < 0:
        raise OSError(ctypes.get_errno(), error.value.decode())
    return result


def checkpoint_self(path):
    options = Options(ctypes.sizeof(Options), 0, 0, ctypes.addressof(error), len(error))
    return checked(library.crfs_checkpoint_self(os.fsencode(path), ctypes.byref(options)))


def checkpoint_wait(timeout=-1):
    return checked(library.crfs_checkpoint_wait(timeout, error, len(error)))


result = checkpoint_self(sys.argv[1])
print(result, flush=True)
if result == 0:
    checkpoint_wait()
    print("saved", flush=True)
