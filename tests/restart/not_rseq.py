# SPDX-License-Identifier: Apache-2.0
"""not_rseq.py BEFORE AFTER: passes on, of the lines of `crfs diff`, those that say more than
that the kernel has told threads which cpu they run on: it writes that into the struct rseq of
each whenever it likes. BEFORE and AFTER are mounts of the images that were compared."""
import glob
import os
import re
import sys

# cpu_id_start and cpu_id; node_id and mm_cid.
WRITTEN = [(0, 8), (20, 28)]
before, after = sys.argv[1:]

written = {}  # by address space
for thread in glob.glob(f"{before}/tasks/*/threads/*/rseq/address"):
    mm = os.path.realpath(f"{thread.split('/threads/')[0]}/mm")
    address = int(open(thread).read(), 16)
    if address:
        written.setdefault(os.path.basename(mm), []).append(address)


def read(tree, path, mm, start, first, last):
    with open(f"{tree}/{path}", "rb") as pages:
        pages.seek(first - start)
        data = bytearray(pages.read(last - first))
    for area in written.get(mm, []):
        for begin, end in WRITTEN:
            for at in range(area + begin, area + end):
                if first <= at < last:
                    data[at - first] = 0
    return data


for line in sys.stdin:
    found = re.fullmatch(
        r"(objects/mm/(\d+)/vmas/([0-9a-f]+)-[0-9a-f]+/pages): ([0-9a-f]+)-([0-9a-f]+) differs\n", line)
    if found:
        path, mm = found[1], found[2]
        place = [int(number, 16) for number in found.groups()[2:]]
        if read(before, path, mm, *place) == read(after, path, mm, *place):
            continue
    sys.stdout.write(line)
