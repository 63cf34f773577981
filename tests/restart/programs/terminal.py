# SPDX-License-Identifier: Apache-2.0
"""terminal.py SECONDS [--stay] [--every PAUSE] LINE... -- COMMAND...: runs COMMAND on a
terminal of its own, types each LINE, with PAUSE seconds (0.5) in between, then ^D unless it is
to --stay, and prints what the terminal showed. Its exit status is that of COMMAND, or 124 after
SECONDS."""
import argparse
import os
import pty
import select
import signal
import sys
import time

split = sys.argv.index("--")
parser = argparse.ArgumentParser()
parser.add_argument("seconds", type=float)
parser.add_argument("--stay", action="store_true")
parser.add_argument("--every", type=float, default=0.5)
parser.add_argument("lines", nargs="*")
arguments = parser.parse_intermixed_args(sys.argv[1:split])
command = sys.argv[split + 1:]
deadline = time.monotonic() + arguments.seconds
pid, terminal = pty.fork()
if pid == 0:
    # A shell starts what is to run in the background with these ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.execvp(command[0], command)
typed = [line.encode() + b"\n" for line in arguments.lines]
if not arguments.stay:
    typed.append(b"\x04")
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
        next_line = time.monotonic() + arguments.every
else:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.exit(124)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
