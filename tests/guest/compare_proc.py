#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the mounted tree of a checkpoint with /proc of the tasks, which must be stopped
where they were checkpointed (crfs checkpoint --stop).

usage: compare_proc.py TREE

Prints what differs, one line a value, and a count of the values compared; exit status 1 if
anything differs.
"""

import errno
import os
import re
import struct
import sys

PAGE = os.sysconf("SC_PAGESIZE")
CAPABILITY_SETS = {
    "CapInh": "cap_inheritable", "CapPrm": "cap_permitted", "CapEff": "cap_effective",
    "CapBnd": "cap_bounding", "CapAmb": "cap_ambient"}
LIMITS = {
    "Max cpu time": "cpu", "Max file size": "fsize", "Max data size": "data",
    "Max stack size": "stack", "Max core file size": "core", "Max resident set": "rss",
    "Max processes": "nproc", "Max open files": "nofile", "Max locked memory": "memlock",
    "Max address space": "as", "Max file locks": "locks", "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue", "Max nice priority": "nice",
    "Max realtime priority": "rtprio", "Max realtime timeout": "rttime"}
CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore").split()
POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}
SIGNALS = ("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT "
           "STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS").split()

compared = 0
differ = 0


def text(path):
    with open(path, "rb") as f:
        return f.read().decode("utf-8", "surrogateescape")


def line(path):
    value = text(path)
    assert value.endswith("\n"), f"{path}: no newline at the end"
    return value[:-1]


def check(what, tree, proc):
    global compared, differ
    compared += 1
    if tree != proc:
        differ += 1
        print(f"DIFFERS {what}: tree {str(tree)[:100]!r}, /proc {str(proc)[:100]!r}")


def unescape(value):
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), value)


def strings(path):
    return unescape(text(path).replace("\n", "\0"))


def signal_name(number):
    if number == 0:
        return "0"
    if number <= 31:
        return "SIG" + SIGNALS[number - 1]
    if number < 34:  # the C library's own
        return f"SIG{number}"
    return "SIGRTMIN" if number == 34 else f"SIGRTMIN+{number - 34}"


def signal_words(mask):
    return " ".join(signal_name(i + 1) for i in range(64) if mask >> i & 1)


def status_of(path):
    fields = {}
    for entry in text(path).splitlines():
        name, _, value = entry.partition(":")
        fields[name] = value.strip()
    return fields


def stat_of(path):
    value = text(path)
    return [None, None, None] + value[value.rindex(")") + 2:].split()  # numbered as in proc(5)


def compare_status(pid, task, proc):
    status = status_of(f"{proc}/status")
    check(f"{pid} Umask", line(f"{task}/umask"), status["Umask"])
    check(f"{pid} PPid", line(f"{task}/ppid"), status["PPid"])
    check(f"{pid} FDSize", line(f"{task}/fd/size"), status["FDSize"])
    check(f"{pid} NSpid", line(f"{task}/nspid").split(), status["NSpid"].split())
    check(f"{pid} Threads", str(len(os.listdir(f"{task}/threads"))), status["Threads"])
    check(f"{pid} NoNewPrivs", line(f"{task}/no_new_privs"), status["NoNewPrivs"])
    check(f"{pid} Seccomp", line(f"{task}/seccomp"),
          ["disabled", "strict", "filter"][int(status["Seccomp"])])
    compare_cred(f"{pid}", f"{task}/cred", status)
    ignored, caught = 0, 0
    for name in os.listdir(f"{task}/sighand"):
        if not name.startswith("SIG"):
            continue
        handler = line(f"{task}/sighand/{name}/handler")
        number = next(i for i in range(1, 65) if signal_name(i) == name)
        if handler == "ignore":
            ignored |= 1 << (number - 1)
        elif handler != "default":
            caught |= 1 << (number - 1)
    check(f"{pid} SigIgn", signal_words(ignored), signal_words(int(status["SigIgn"], 16)))
    check(f"{pid} SigCgt", signal_words(caught), signal_words(int(status["SigCgt"], 16)))


def compare_cred(what, cred, status):
    for which, names in (("Uid", "uid euid suid fsuid"), ("Gid", "gid egid sgid fsgid")):
        check(f"{what} {which}", [line(f"{cred}/{n}") for n in names.split()],
              status[which].split())
    check(f"{what} Groups", line(f"{cred}/groups").split(), status["Groups"].split())
    for field, name in CAPABILITY_SETS.items():
        mask = int(status[field], 16)
        words = ["cap_" + CAPABILITIES[i] for i in range(len(CAPABILITIES)) if mask >> i & 1]
        check(f"{what} {field}", line(f"{cred}/{name}").split(), words)


def compare_stat(pid, task, proc):
    stat = stat_of(f"{proc}/stat")
    check(f"{pid} pgid", line(f"{task}/pgid"), stat[5])
    check(f"{pid} sid", line(f"{task}/sid"), stat[6])
    check(f"{pid} nice", line(f"{task}/sched/nice"), stat[19])
    check(f"{pid} exit_signal", line(f"{task}/exit_signal"), signal_name(int(stat[38])))
    check(f"{pid} policy", line(f"{task}/sched/policy"), POLICIES[int(stat[41])])
    fields = {"start_code": 26, "end_code": 27, "start_stack": 28, "start_data": 45,
              "end_data": 46, "start_brk": 47, "arg_start": 48, "arg_end": 49, "env_start": 50,
              "env_end": 51}
    for name, number in fields.items():
        check(f"{pid} {name}", int(line(f"{task}/mm/{name}"), 16), int(stat[number]))


def compare_small_files(pid, task, proc):
    check(f"{pid} comm", line(f"{task}/comm"), line(f"{proc}/comm"))
    check(f"{pid} argv", strings(f"{task}/argv"), text(f"{proc}/cmdline"))
    check(f"{pid} environ", strings(f"{task}/environ"), text(f"{proc}/environ"))
    check(f"{pid} cgroup", text(f"{task}/cgroup"), text(f"{proc}/cgroup"))
    check(f"{pid} oom_score_adj", line(f"{task}/oom_score_adj"), line(f"{proc}/oom_score_adj"))
    check(f"{pid} personality", line(f"{task}/personality"), line(f"{proc}/personality"))
    check(f"{pid} coredump_filter", line(f"{task}/mm/coredump_filter"),
          line(f"{proc}/coredump_filter"))
    raw = open(f"{proc}/auxv", "rb").read()
    pairs = [struct.unpack_from("QQ", raw, i) for i in range(0, len(raw), 16)]
    values = [int(entry.split()[1], 16) for entry in text(f"{task}/auxv").splitlines()]
    check(f"{pid} auxv", values, [value for _, value in pairs])
    for name in ("exe", "cwd", "root"):
        check(f"{pid} {name}", unescape(line(f"{task}/{name}/path")),
              os.readlink(f"{proc}/{name}"))
    for entry in text(f"{proc}/limits").splitlines()[1:]:
        name = LIMITS[entry[:26].strip()]
        soft, hard = entry[26:].split()[:2]
        check(f"{pid} rlimit {name}",
              [line(f"{task}/rlimit/{name}/soft"), line(f"{task}/rlimit/{name}/hard")],
              [soft, hard])


def compare_namespaces(pid, task, proc):
    for name in os.listdir(f"{proc}/ns"):
        kind, inode = re.fullmatch(r"(\w+):\[(\d+)\]", os.readlink(f"{proc}/ns/{name}")).groups()
        check(f"{pid} ns/{name}", (line(f"{task}/ns/{name}/kind"),
                                   line(f"{task}/ns/{name}/inode")),
              (kind.replace("_for_children", ""), inode))


def open_flags(value):
    """The words of the tree as the number of fdinfo, and back."""
    words = value.split()
    number = {"O_RDONLY": 0, "O_WRONLY": 1, "O_RDWR": 2, "O_ACCMODE": 3}[words[0]]
    bits = {"O_DSYNC": 0o10000, "O_SYNC": 0o4000000, "O_TMPFILE": 0o20000000,
            "O_LARGEFILE": 0o100000, "O_ASYNC": 0o20000}
    for word in words[1:]:
        if word.startswith("bit"):
            number |= 1 << int(word[3:])
        else:
            number |= bits[word] if word in bits else getattr(os, word)
    return number


def compare_descriptors(pid, task, proc):
    numbers = sorted(os.listdir(f"{proc}/fd"))
    check(f"{pid} fds", sorted(n for n in os.listdir(f"{task}/fd") if n.isdigit()), numbers)
    for number in numbers:
        what, fd = f"{pid} fd {number}", f"{task}/fd/{number}"
        path = unescape(line(f"{fd}/file/path"))
        if line(f"{fd}/file/deleted") == "1":
            path += " (deleted)"
        check(f"{what} path", path, os.readlink(f"{proc}/fd/{number}"))
        info = dict(entry.split(":\t") for entry in text(f"{proc}/fdinfo/{number}").splitlines()
                    if ":\t" in entry)
        flags = open_flags(line(f"{fd}/file/flags"))
        if line(f"{fd}/cloexec") == "1":
            flags |= os.O_CLOEXEC
        check(f"{what} flags", oct(flags), oct(int(info["flags"], 8)))
        check(f"{what} pos", line(f"{fd}/file/pos"), info["pos"].strip())
        check(f"{what} mnt_id", line(f"{fd}/file/mnt_id"), info["mnt_id"].strip())
        stat = os.stat(f"{proc}/fd/{number}")
        check(f"{what} inode", line(f"{fd}/file/inode"), info["ino"].strip())
        check(f"{what} mode", int(line(f"{fd}/file/mode"), 8), stat.st_mode)


def saved_ranges(file, size):
    fd = os.open(file, os.O_RDONLY)
    offset = 0
    try:
        while offset < size:
            try:
                start = os.lseek(fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            end = os.lseek(fd, start, os.SEEK_HOLE)
            yield fd, start, end
            offset = end
    finally:
        os.close(fd)


def first_difference(ours, theirs):
    """Where two pieces of memory differ, or None."""
    if ours == theirs:
        return None
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            return f"byte {i:#x}: {a:#04x}, {b:#04x}"
    return f"lengths {len(ours)}, {len(theirs)}"


def compare_memory(pid, task, proc):
    """Every page that is private and populated is saved, no other is, and all are equal."""
    mem = os.open(f"{proc}/mem", os.O_RDONLY)
    pagemap = os.open(f"{proc}/pagemap", os.O_RDONLY)
    for vma in sorted(os.listdir(f"{task}/mm/vmas")):
        start, end = (int(x, 16) for x in vma.split("-"))
        folder = f"{task}/mm/vmas/{vma}"
        kind = line(f"{folder}/kind")
        if kind in ("vvar", "vdso", "special"):
            continue
        saved = set()
        for fd, low, high in saved_ranges(f"{folder}/pages", end - start):
            saved.update(range(low // PAGE, high // PAGE))
            for offset in range(low, high, 1 << 20):
                length = min(1 << 20, high - offset)
                ours, theirs = os.pread(fd, length, offset), os.pread(mem, length, start + offset)
                check(f"{pid} memory {vma}+{offset:#x}", first_difference(ours, theirs), None)
        if end - start > 1 << 30 or "p" not in line(f"{folder}/prot"):
            continue
        entries = os.pread(pagemap, (end - start) // PAGE * 8, start // PAGE * 8)
        populated = set()
        for i in range(len(entries) // 8):
            entry = int.from_bytes(entries[8 * i:8 * i + 8], "little")
            if entry >> 62 and not entry >> 61 & 1:
                populated.add(i)
        # A page that was only read is the shared zero page: populated, but not saved.
        zero = {i for i in populated - saved
                if os.pread(mem, PAGE, start + i * PAGE) == bytes(PAGE)}
        check(f"{pid} pages of {vma}", sorted(saved), sorted(populated - zero))
    os.close(mem)
    os.close(pagemap)


def compare_maps(pid, task, tree, proc):
    ours = text(f"{tree}/.views/{pid}/maps").splitlines()
    theirs = [entry for entry in text(f"{proc}/maps").splitlines() if "[vsyscall]" not in entry]
    check(f"{pid} number of maps", len(ours), len(theirs))
    for a, b in zip(ours, theirs):
        check(f"{pid} maps", a, b)
    flags = {}
    for entry in text(f"{proc}/smaps").splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", entry)
        if head:
            name = f"{head.group(1)}-{head.group(2)}"
        elif entry.startswith("VmFlags:"):
            flags[name] = [word for word in entry.split()[1:] if word != "sd"]
    for vma in os.listdir(f"{task}/mm/vmas"):
        check(f"{pid} VmFlags {vma}", sorted(line(f"{task}/mm/vmas/{vma}/flags").split()),
              sorted(flags.get(vma, [])))


def compare_threads(pid, task, proc):
    tids = sorted(os.listdir(f"{proc}/task"))
    check(f"{pid} threads", sorted(os.listdir(f"{task}/threads")), tids)
    for tid in tids:
        thread, theirs, what = f"{task}/threads/{tid}", f"{proc}/task/{tid}", f"{pid}/{tid}"
        status = status_of(f"{theirs}/status")
        check(f"{what} comm", line(f"{thread}/comm"), line(f"{theirs}/comm"))
        check(f"{what} SigBlk", line(f"{thread}/sigmask"), signal_words(int(status["SigBlk"], 16)))
        check(f"{what} cpus", line(f"{thread}/sched/cpus"), status["Cpus_allowed_list"])
        compare_cred(what, f"{thread}/cred", status)
        stat = stat_of(f"{theirs}/stat")
        check(f"{what} rt_priority", line(f"{thread}/sched/priority"), stat[40])
        words = text(f"{theirs}/syscall").split()
        check(f"{what} rip", int(line(f"{thread}/regs/rip"), 16), int(words[-1], 16))
        check(f"{what} rsp", int(line(f"{thread}/regs/rsp"), 16), int(words[-2], 16))
        if len(words) == 9:  # in a system call, with its arguments
            check(f"{what} orig_rax", int(line(f"{thread}/regs/orig_rax"), 16), int(words[0]))
            for register, value in zip("rdi rsi rdx r10 r8 r9".split(), words[1:7]):
                check(f"{what} {register}", int(line(f"{thread}/regs/{register}"), 16),
                      int(value, 16))


def main():
    tree = sys.argv[1]
    for pid in os.listdir(f"{tree}/tasks"):
        task, proc = f"{tree}/tasks/{pid}", f"/proc/{pid}"
        if line(f"{task}/state") == "zombie":
            check(f"{pid} state", "Z", stat_of(f"{proc}/stat")[3])
            continue
        check(f"{pid} is stopped", "T", stat_of(f"{proc}/stat")[3])
        compare_small_files(pid, task, proc)
        compare_status(pid, task, proc)
        compare_stat(pid, task, proc)
        compare_namespaces(pid, task, proc)
        compare_descriptors(pid, task, proc)
        compare_threads(pid, task, proc)
        compare_maps(pid, task, tree, proc)
        compare_memory(pid, task, proc)
    print(f"{compared} values compared, {differ} differ")
    sys.exit(1 if differ or not compared else 0)


main()
