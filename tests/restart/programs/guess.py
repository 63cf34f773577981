# SPDX-License-Identifier: Apache-2.0
"""guess.py RESULT: keeps a word in a variable and waits until it is another one."""
import sys
import time

# A bytearray: its bytes can be changed in place, as an editor of memory does.
word = bytearray(b"the-word-as-it-was")
with open(sys.argv[1] + ".ready", "w"):
    pass
while word[-3:] != b"now":
    time.sleep(0.05)
with open(sys.argv[1], "w") as result:
    result.write(word.decode() + "\n")
