# SPDX-License-Identifier: Apache-2.0
"""terminal.py SECONDS LINE... -- COMMAND...: runs COMMAND on a terminal of its own, types
each LINE after a while, then ^D, and prints what the terminal showed. Its exit status is
that of COMMAND, or 124 after SECONDS."""
import os
import pty
import select
import sys
import time

split = sys.argv.index("--")
deadline = time.monotonic() + float(sys.argv[1])
lines, command = sys.argv[2:split], sys.argv[split + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
typed = [line.encode() + b"\n" for line in lines] + [b"\x04"]
next_line = time.monotonic() + 1
while time.monotonic() < deadline:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            said = os.read(terminal, 65536)
        except OSError:
            break
        if not said:
            break
        os.write(1, said)
    if typed and time.monotonic() > next_line:
        os.write(terminal, typed.pop(0))
        next_line = time.monotonic() + 0.5
else:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.exit(124)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
