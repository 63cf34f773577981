/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * The schema: every object type and every attribute of a checkpoint, declared once.
 *
 * All else derives from these rows: the structs on the wire (below), the module's
 * emitter, the index, the names, modes and contents of the files in the tree, `crfs show`
 * and crfs(5). To add an attribute, add a row at the END of its object's list, a getter,
 * and a restore step; docs/adding-an-attribute.md walks through it.
 *
 * OBJECT(name, tag, owner, place, key, frozen, doc)
 *   name    the object type; its wire struct is struct crfs_NAME
 *   tag     the record type; never reused. Tags order an image: a type comes after every
 *           type that it refers to (checkpoint's `root` is the one exception)
 *   owner   the type in whose directory objects of this type lie, or none
 *   place   the folder: from the root of the tree where owner is none, else from the
 *           owner's directory ("" is that directory itself)
 *   key     what names one object's directory in that folder:
 *             single  nothing does: `place` itself is the directory of the only one
 *             id      the object id, decimal
 *             number  the row with access `key`, decimal
 *             signal  the same, as a signal name
 *             range   rows `start` and `end`, hexadecimal as in /proc/PID/maps
 *   frozen  bytes of the wire struct in format version 1; it never changes
 *   doc     one line
 *
 * ROW(object, wire, field, path, codec, access, restart, source, since, doc)
 *   wire    u32 s32 u64 s64: a number; ref: the id of another object, 0 for none (u64);
 *           bytes: a range of the record's tail (struct crfs_bytes); none: not stored,
 *           computed from other rows
 *   field   the member of the wire struct
 *   path    where it appears below the object's directory; "" does not appear
 *   codec   the text form (docs/tree.md lists them); for a ref, the type referred to; for
 *           a computed row, how: id, refs, format, pages, pagemap, or via_FIELD: the row of the
 *           same field in what FIELD refers to (via_leader: in the thread whose tid is pid)
 *           A device number (`dev`) has its major in the upper 32 bits, its minor in the
 *           lower; a point in time is nanoseconds since the epoch, a span nanoseconds
 *   access  ro: identity, cannot be edited; rw; derived: computed, accepted only
 *           unchanged; key: part of the object's name; owner: the id of the owner
 *   restart restore: set again; check: restart refuses a machine that differs; info
 *   source  kernel: the module's capture fills it; engine: user space fills it from the
 *           frozen task; none: computed
 *   since   the format version that introduced the row
 *   doc     one line, with its unit
 */
#ifndef CRFS_SCHEMA_H
#define CRFS_SCHEMA_H

#include <linux/types.h>

#include "words.h"

#define CRFS_FORMAT_VERSION 2

#define CRFS_OBJECTS(OBJECT)                                                                                         \
	OBJECT(checkpoint, 0x0001, none, "checkpoint", single, 96, "the checkpoint itself")                         \
	OBJECT(ns, 0x0100, none, "objects/ns", id, 16, "a namespace, by identity (namespaces(7))")                   \
	OBJECT(pipe, 0x0200, none, "objects/pipe", id, 40, "a pipe or fifo and what it holds (pipe(7))")             \
	OBJECT(shmem, 0x0300, none, "objects/shmem", id, 40, "shared memory without a file of its own (shmem)")      \
	OBJECT(file, 0x0400, none, "objects/file", id, 112, "an open file description, or a bare path (open(2))")    \
	OBJECT(fs, 0x0500, none, "objects/fs", id, 24, "file system attributes: cwd, root, umask (CLONE_FS)")        \
	OBJECT(mm, 0x0600, none, "objects/mm", id, 136, "an address space (CLONE_VM)")                               \
	OBJECT(vma, 0x0610, mm, "vmas", range, 72, "one mapping of an address space (mmap(2))")                      \
	OBJECT(fdtable, 0x0700, none, "objects/fdtable", id, 8, "a table of descriptors (CLONE_FILES)")              \
	OBJECT(fd, 0x0710, fdtable, "", number, 24, "one descriptor of a table")                                     \
	OBJECT(sighand, 0x0800, none, "objects/sighand", id, 8, "a table of signal handlers (CLONE_SIGHAND)")        \
	OBJECT(sigaction, 0x0810, sighand, "", signal, 48, "what one signal does (sigaction(2)); defaults are not kept") \
	OBJECT(cred, 0x0900, none, "objects/cred", id, 96, "credentials (credentials(7))")                           \
	OBJECT(task, 0x0a00, none, "tasks", number, 488, "a task: a thread group, by pid")                           \
	OBJECT(signal, 0x0a10, task, "pending", number, 40, "a signal pending for the whole task")                   \
	OBJECT(thread, 0x0b00, task, "threads", number, 456, "a thread, by tid")                                     \
	OBJECT(thread_signal, 0x0b10, thread, "pending", number, 40, "a signal pending for one thread")

#define CRFS_ROWS_checkpoint(ROW)                                                                                    \
	ROW(checkpoint, bytes, uuid, "uuid", uuid, ro, info, engine, 1, "names this checkpoint")                     \
	ROW(checkpoint, none, format, "format", format, derived, check, none, 1, "format version of the image")      \
	ROW(checkpoint, bytes, arch, "arch", text, ro, check, engine, 1, "architecture, as uname -m prints it")      \
	ROW(checkpoint, u64, page_size, "page_size", dec, ro, check, engine, 1, "bytes in a page")                   \
	ROW(checkpoint, bytes, kernel, "kernel", text, ro, info, engine, 1, "kernel release, as uname -r prints it") \
	ROW(checkpoint, bytes, hostname, "hostname", text, ro, info, engine, 1, "name of the machine")               \
	ROW(checkpoint, u64, time, "time", time, ro, info, engine, 1, "when the tasks were frozen, UTC")             \
	ROW(checkpoint, u64, downtime, "downtime", nsec, ro, info, engine, 1, "how long they were frozen, seconds")  \
	ROW(checkpoint, u64, engine, "engine", engine, ro, info, engine, 1, "what took the checkpoint")              \
	ROW(checkpoint, bytes, parent, "parent", uuid, ro, info, engine, 1, "uuid of the image this one adds to")    \
	ROW(checkpoint, ref, root, "root", task, ro, restore, engine, 1, "the task that was asked for")              \
	ROW(checkpoint, bytes, unsupported, "unsupported", strings, ro, check, engine, 1,                            \
	    "states that cannot be restarted, one a line")                                                           \
	ROW(checkpoint, u64, boottime, "boottime", nsec, ro, info, engine, 1, "CLOCK_BOOTTIME when frozen, seconds")

#define CRFS_ROWS_ns(ROW)                                                                                            \
	ROW(ns, none, id, "id", id, derived, info, none, 1, "object id")                                             \
	ROW(ns, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")             \
	ROW(ns, u32, kind, "kind", ns_kind, ro, check, engine, 1, "which kind of namespace")                         \
	ROW(ns, u32, level, "level", dec, ro, info, engine, 1, "nesting below the one of crfs; 0 is the same")       \
	ROW(ns, u64, inode, "inode", dec, ro, check, engine, 1, "inode number, as in /proc/PID/ns")

#define CRFS_ROWS_pipe(ROW)                                                                                          \
	ROW(pipe, none, id, "id", id, derived, info, none, 1, "object id")                                           \
	ROW(pipe, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")           \
	ROW(pipe, u64, inode, "inode", dec, ro, info, kernel, 1, "inode number")                                     \
	ROW(pipe, u64, capacity, "capacity", dec, rw, restore, kernel, 1, "bytes it can hold (F_SETPIPE_SZ)")        \
	ROW(pipe, u32, readers, "readers", dec, ro, info, kernel, 1, "open read ends, in and outside the image")     \
	ROW(pipe, u32, writers, "writers", dec, ro, info, kernel, 1, "open write ends, in and outside the image")    \
	ROW(pipe, bytes, data, "data", raw, rw, restore, engine, 1, "bytes written and not yet read")                \
	ROW(pipe, bytes, packets, "packets", numbers, rw, restore, engine, 1,                                        \
	    "bytes of each packet (O_DIRECT pipes); empty: a plain stream")

#define CRFS_ROWS_shmem(ROW)                                                                                         \
	ROW(shmem, none, id, "id", id, derived, info, none, 1, "object id")                                          \
	ROW(shmem, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")          \
	ROW(shmem, u64, inode, "inode", dec, ro, info, kernel, 1, "inode number")                                    \
	ROW(shmem, u64, dev, "dev", dev, ro, info, kernel, 1, "device, major:minor")                                 \
	ROW(shmem, u64, size, "size", dec, rw, restore, kernel, 1, "bytes")                                          \
	ROW(shmem, u32, seals, "seals", hex, rw, restore, kernel, 1, "F_SEAL_* of a memfd (fcntl(2))")               \
	ROW(shmem, u32, sysv, "sysv", dec, ro, check, kernel, 1, "1 for a System V segment")                         \
	ROW(shmem, bytes, name, "name", text, ro, restore, kernel, 1, "as /proc/PID/maps shows it")                  \
	ROW(shmem, none, pages, "pages", pages, rw, restore, none, 1, "the memory, sparse")                                 \
	ROW(shmem, none, pagemap, "pagemap", pagemap, rw, restore, none, 1,                                                 \
	    "which pages are saved, as ranges of offsets in `pages`")

#define CRFS_ROWS_file(ROW)                                                                                          \
	ROW(file, none, id, "id", id, derived, info, none, 1, "object id")                                           \
	ROW(file, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")           \
	ROW(file, u32, kind, "kind", file_kind, ro, restore, kernel, 1, "what it is")                                \
	ROW(file, u32, flags, "flags", open_flags, rw, restore, kernel, 1, "open flags and access mode (open(2))")   \
	ROW(file, bytes, path, "path", text, rw, restore, kernel, 1, "path, as /proc/PID/fd and maps show it to crfs")   \
	ROW(file, s64, pos, "pos", dec, rw, restore, kernel, 1, "file position, bytes")                              \
	ROW(file, u32, mode, "mode", oct, ro, check, kernel, 1, "type and permissions of the inode (inode(7))")      \
	ROW(file, u32, deleted, "deleted", dec, ro, check, kernel, 1, "1 if no path leads to it any more")           \
	ROW(file, u32, mnt_id, "mnt_id", dec, ro, info, engine, 1, "mount, as in /proc/PID/mountinfo")               \
	ROW(file, u32, nlink, "nlink", dec, ro, info, kernel, 1, "names of the inode")                               \
	ROW(file, u64, dev, "dev", dev, ro, info, kernel, 1, "device of the file system, major:minor")               \
	ROW(file, u64, inode, "inode", dec, ro, info, kernel, 1, "inode number")                                     \
	ROW(file, u64, rdev, "rdev", dev, ro, check, kernel, 1, "device that a device node stands for, major:minor") \
	ROW(file, u64, size, "size", dec, ro, check, kernel, 1, "bytes of a regular file")                           \
	ROW(file, s64, mtime, "mtime", time, ro, check, kernel, 1, "last change of a regular file, UTC")             \
	ROW(file, ref, pipe, "pipe", pipe, ro, restore, kernel, 1, "the pipe or fifo it is an end of")               \
	ROW(file, ref, shmem, "shmem", shmem, ro, restore, kernel, 1, "the shared memory it stands for (memfd)")     \
	ROW(file, bytes, fdinfo, "fdinfo", strings, ro, info, engine, 1,                                             \
	    "/proc/PID/fdinfo of a kind that crfs knows no more of")                                                 \
	ROW(file, u32, owner_signal, "owner_signal", dec, rw, restore, kernel, 1, "F_SETSIG signal, 0: SIGIO")       \
	ROW(file, s32, owner_pid, "owner_pid", dec, rw, restore, kernel, 1, "F_SETOWN process, or minus its group")

#define CRFS_ROWS_fs(ROW)                                                                                            \
	ROW(fs, none, id, "id", id, derived, info, none, 1, "object id")                                             \
	ROW(fs, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")             \
	ROW(fs, u64, umask, "umask", umask, rw, restore, kernel, 1, "file mode creation mask (umask(2))")            \
	ROW(fs, ref, cwd, "cwd", file, rw, restore, kernel, 1, "working directory")                                  \
	ROW(fs, ref, root, "root", file, rw, restore, kernel, 1, "root directory (chroot(2))")

#define CRFS_ROWS_mm(ROW)                                                                                            \
	ROW(mm, none, id, "id", id, derived, info, none, 1, "object id")                                             \
	ROW(mm, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")             \
	ROW(mm, u64, start_code, "start_code", hex, rw, restore, kernel, 1, "PR_SET_MM fields (prctl(2)): addresses") \
	ROW(mm, u64, end_code, "end_code", hex, rw, restore, kernel, 1, "end of the program's text")                 \
	ROW(mm, u64, start_data, "start_data", hex, rw, restore, kernel, 1, "start of its data")                     \
	ROW(mm, u64, end_data, "end_data", hex, rw, restore, kernel, 1, "end of its data")                           \
	ROW(mm, u64, start_brk, "start_brk", hex, rw, restore, kernel, 1, "start of the heap")                       \
	ROW(mm, u64, brk, "brk", hex, rw, restore, kernel, 1, "end of the heap (brk(2))")                            \
	ROW(mm, u64, start_stack, "start_stack", hex, rw, restore, kernel, 1, "start of the main stack")             \
	ROW(mm, u64, arg_start, "arg_start", hex, rw, restore, kernel, 1, "start of the arguments")                  \
	ROW(mm, u64, arg_end, "arg_end", hex, rw, restore, kernel, 1, "end of the arguments")                        \
	ROW(mm, u64, env_start, "env_start", hex, rw, restore, kernel, 1, "start of the environment")                \
	ROW(mm, u64, env_end, "env_end", hex, rw, restore, kernel, 1, "end of the environment")                      \
	ROW(mm, u64, vdso, "vdso", hex, ro, restore, kernel, 1, "address of the vdso (vdso(7)), 0 without one")      \
	ROW(mm, bytes, auxv, "auxv", auxv, ro, restore, kernel, 1, "auxiliary vector (getauxval(3))")                \
	ROW(mm, ref, exe, "exe", file, rw, restore, kernel, 1, "the program's file")                                 \
	ROW(mm, u64, def_flags, "def_flags", vma_flags, rw, restore, kernel, 1, "flags of new mappings (mlockall(2))") \
	ROW(mm, u32, dumpable, "dumpable", dec, rw, restore, kernel, 1, "PR_SET_DUMPABLE (prctl(2))")                \
	ROW(mm, u32, coredump_filter, "coredump_filter", hex8, rw, restore, kernel, 1, "as in /proc (core(5))")      \
	ROW(mm, u32, thp_disable, "thp_disable", dec, rw, restore, kernel, 1, "PR_SET_THP_DISABLE (prctl(2))")       \
	ROW(mm, u32, blockers, "blockers", blockers, ro, check, kernel, 1, "states that cannot be restarted")

#define CRFS_ROWS_vma(ROW)                                                                                           \
	ROW(vma, ref, mm, "", mm, owner, restore, kernel, 1, "the address space")                                    \
	ROW(vma, u64, start, "", hex, key, restore, kernel, 1, "first address")                                      \
	ROW(vma, u64, end, "", hex, key, restore, kernel, 1, "address after the last")                               \
	ROW(vma, u64, flags, "flags", vma_flags, rw, restore, kernel, 1, "as VmFlags in /proc/PID/smaps")            \
	ROW(vma, u64, offset, "offset", offset, rw, restore, kernel, 1, "offset in the file or shared memory, bytes, hexadecimal") \
	ROW(vma, u32, prot, "prot", perm, rw, restore, kernel, 1, "protection and sharing, as in /proc/PID/maps")    \
	ROW(vma, u32, kind, "kind", vma_kind, ro, restore, kernel, 1, "what it maps")                                \
	ROW(vma, ref, file, "file", file, rw, restore, kernel, 1, "the file it maps")                                \
	ROW(vma, ref, shmem, "shmem", shmem, ro, restore, kernel, 1, "the shared memory it maps")                    \
	ROW(vma, bytes, name, "name", text, rw, restore, kernel, 1, "PR_SET_VMA_ANON_NAME, or a special's name")     \
	ROW(vma, none, pages, "pages", pages, rw, restore, none, 1, "the memory, sparse; holes are not saved")              \
	ROW(vma, none, pagemap, "pagemap", pagemap, rw, restore, none, 1,                                                   \
	    "which pages are saved, as ranges of offsets in `pages`")                                                \
	ROW(vma, bytes, excluded, "excluded", ranges, rw, restore, engine, 2,                                        \
	    "memory that is left out and comes back as zeros, as ranges of offsets in `pages`")

#define CRFS_ROWS_fdtable(ROW)                                                                                       \
	ROW(fdtable, none, id, "id", id, derived, info, none, 1, "object id")                                        \
	ROW(fdtable, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")        \
	ROW(fdtable, u64, size, "size", dec, ro, info, kernel, 1, "slots, as FDSize in /proc/PID/status")

#define CRFS_ROWS_fd(ROW)                                                                                            \
	ROW(fd, ref, fdtable, "", fdtable, owner, restore, kernel, 1, "the table")                                   \
	ROW(fd, u32, fd, "", dec, key, restore, kernel, 1, "the number")                                             \
	ROW(fd, u32, cloexec, "cloexec", dec, rw, restore, kernel, 1, "1: closed by execve(2)")                      \
	ROW(fd, ref, file, "file", file, rw, restore, kernel, 1, "the open file description")                                \
	ROW(fd, u64, excluded, "excluded", dec, rw, restore, engine, 2, "1: it is left out, and closed after a restart")

#define CRFS_ROWS_sighand(ROW)                                                                                       \
	ROW(sighand, none, id, "id", id, derived, info, none, 1, "object id")                                        \
	ROW(sighand, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")        \
	ROW(sighand, u64, reserved, "", dec, ro, info, kernel, 1, "reserved, 0")

#define CRFS_ROWS_sigaction(ROW)                                                                                     \
	ROW(sigaction, ref, sighand, "", sighand, owner, restore, kernel, 1, "the table")                            \
	ROW(sigaction, u64, signal, "", dec, key, restore, kernel, 1, "the signal's number")                         \
	ROW(sigaction, u64, handler, "handler", handler, rw, restore, kernel, 1, "default, ignore or an address")    \
	ROW(sigaction, u64, flags, "flags", sa_flags, rw, restore, kernel, 1, "sa_flags (sigaction(2))")             \
	ROW(sigaction, u64, restorer, "restorer", hex, rw, restore, kernel, 1, "address that the handler returns to") \
	ROW(sigaction, u64, mask, "mask", sigset, rw, restore, kernel, 1, "signals blocked while it runs")

#define CRFS_ROWS_cred(ROW)                                                                                          \
	ROW(cred, none, id, "id", id, derived, info, none, 1, "object id")                                           \
	ROW(cred, none, refs, "refs", refs, derived, info, none, 1, "how many references the image holds")           \
	ROW(cred, u32, uid, "uid", dec, rw, restore, kernel, 1, "real user id")                                      \
	ROW(cred, u32, euid, "euid", dec, rw, restore, kernel, 1, "effective user id")                               \
	ROW(cred, u32, suid, "suid", dec, rw, restore, kernel, 1, "saved user id")                                   \
	ROW(cred, u32, fsuid, "fsuid", dec, rw, restore, kernel, 1, "file system user id")                           \
	ROW(cred, u32, gid, "gid", dec, rw, restore, kernel, 1, "real group id")                                     \
	ROW(cred, u32, egid, "egid", dec, rw, restore, kernel, 1, "effective group id")                              \
	ROW(cred, u32, sgid, "sgid", dec, rw, restore, kernel, 1, "saved group id")                                  \
	ROW(cred, u32, fsgid, "fsgid", dec, rw, restore, kernel, 1, "file system group id")                          \
	ROW(cred, bytes, groups, "groups", numbers, rw, restore, kernel, 1, "supplementary groups")                  \
	ROW(cred, u64, cap_inheritable, "cap_inheritable", capabilities, rw, restore, kernel, 1, "capabilities(7)")  \
	ROW(cred, u64, cap_permitted, "cap_permitted", capabilities, rw, restore, kernel, 1, "capabilities(7)")      \
	ROW(cred, u64, cap_effective, "cap_effective", capabilities, rw, restore, kernel, 1, "capabilities(7)")      \
	ROW(cred, u64, cap_bounding, "cap_bounding", capabilities, rw, restore, kernel, 1, "capabilities(7)")        \
	ROW(cred, u64, cap_ambient, "cap_ambient", capabilities, rw, restore, kernel, 1, "capabilities(7)")          \
	ROW(cred, u64, securebits, "securebits", securebits, rw, restore, kernel, 1, "PR_SET_SECUREBITS (prctl(2))") \
	ROW(cred, bytes, label, "label", text, ro, check, engine, 1, "LSM label, as /proc/PID/attr/current")

/* One resource limit (getrlimit(2)): a soft and a hard row. */
#define CRFS_RLIMIT_ROWS(ROW, which)                                                                                 \
	ROW(task, u64, rlimit_##which##_soft, "rlimit/" #which "/soft", limit, rw, restore, kernel, 1, "getrlimit(2)") \
	ROW(task, u64, rlimit_##which##_hard, "rlimit/" #which "/hard", limit, rw, restore, kernel, 1, "getrlimit(2)")

#define CRFS_ROWS_task(ROW)                                                                                          \
	ROW(task, none, id, "id", id, derived, info, none, 1, "object id")                                           \
	ROW(task, u32, pid, "", dec, key, restore, kernel, 1, "process id, in the pid namespace of crfs")            \
	ROW(task, u32, ppid, "ppid", dec, ro, restore, kernel, 1, "its parent's pid")                                \
	ROW(task, u32, pgid, "pgid", dec, ro, restore, kernel, 1, "its process group")                               \
	ROW(task, u32, sid, "sid", dec, ro, restore, kernel, 1, "its session")                                       \
	ROW(task, bytes, nspid, "nspid", numbers, ro, restore, kernel, 1, "its pid in each namespace, outermost first") \
	ROW(task, u32, state, "state", state, ro, restore, kernel, 1, "what it was doing")                           \
	ROW(task, u32, exit_code, "exit_code", hex, ro, restore, kernel, 1,                                          \
	    "of a zombie, as wait(2) gives it; of a stopped one, the signal until its parent has asked for it")      \
	ROW(task, u32, exit_signal, "exit_signal", signal, rw, restore, kernel, 1, "sent to the parent at exit")     \
	ROW(task, s32, oom_score_adj, "oom_score_adj", dec, rw, restore, kernel, 1, "as in /proc (proc(5))")         \
	ROW(task, u32, child_subreaper, "child_subreaper", dec, rw, restore, kernel, 1, "PR_SET_CHILD_SUBREAPER")    \
	ROW(task, u32, blockers, "blockers", blockers, ro, check, kernel, 1, "states that cannot be restarted")      \
	ROW(task, ref, mm, "mm", mm, ro, restore, kernel, 1, "its address space")                                    \
	ROW(task, ref, fd, "fd", fdtable, ro, restore, kernel, 1, "its descriptors")                                 \
	ROW(task, ref, fs, "fs", fs, ro, restore, kernel, 1, "its cwd, root and umask")                              \
	ROW(task, ref, sighand, "sighand", sighand, ro, restore, kernel, 1, "its signal handlers")                   \
	ROW(task, bytes, argv, "argv", strings, ro, info, kernel, 1, "arguments, one a line; they live in its memory") \
	ROW(task, bytes, environ, "environ", strings, ro, info, kernel, 1, "environment, one variable a line; likewise") \
	ROW(task, u64, itimer_real_value, "itimer/real/value", nsec, rw, restore, kernel, 1, "time left, seconds; 0: off (getitimer(2))") \
	ROW(task, u64, itimer_real_interval, "itimer/real/interval", nsec, rw, restore, kernel, 1, "period, seconds") \
	ROW(task, u64, itimer_virtual_value, "itimer/virtual/value", nsec, rw, restore, kernel, 1, "time left, seconds; 0: off") \
	ROW(task, u64, itimer_virtual_interval, "itimer/virtual/interval", nsec, rw, restore, kernel, 1, "period, seconds") \
	ROW(task, u64, itimer_prof_value, "itimer/prof/value", nsec, rw, restore, kernel, 1, "time left, seconds; 0: off") \
	ROW(task, u64, itimer_prof_interval, "itimer/prof/interval", nsec, rw, restore, kernel, 1, "period, seconds") \
	CRFS_RLIMIT_ROWS(ROW, cpu)                                                                                   \
	CRFS_RLIMIT_ROWS(ROW, fsize)                                                                                 \
	CRFS_RLIMIT_ROWS(ROW, data)                                                                                  \
	CRFS_RLIMIT_ROWS(ROW, stack)                                                                                 \
	CRFS_RLIMIT_ROWS(ROW, core)                                                                                  \
	CRFS_RLIMIT_ROWS(ROW, rss)                                                                                   \
	CRFS_RLIMIT_ROWS(ROW, nproc)                                                                                 \
	CRFS_RLIMIT_ROWS(ROW, nofile)                                                                                \
	CRFS_RLIMIT_ROWS(ROW, memlock)                                                                               \
	CRFS_RLIMIT_ROWS(ROW, as)                                                                                    \
	CRFS_RLIMIT_ROWS(ROW, locks)                                                                                 \
	CRFS_RLIMIT_ROWS(ROW, sigpending)                                                                            \
	CRFS_RLIMIT_ROWS(ROW, msgqueue)                                                                              \
	CRFS_RLIMIT_ROWS(ROW, nice)                                                                                  \
	CRFS_RLIMIT_ROWS(ROW, rtprio)                                                                                \
	CRFS_RLIMIT_ROWS(ROW, rttime)                                                                                \
	ROW(task, bytes, cgroup, "cgroup", strings, ro, info, engine, 1, "as /proc/PID/cgroup")                      \
	ROW(task, ref, ns_mnt, "ns/mnt", ns, ro, restore, engine, 1, "mount namespace")                              \
	ROW(task, ref, ns_uts, "ns/uts", ns, ro, restore, engine, 1, "host name namespace")                          \
	ROW(task, ref, ns_ipc, "ns/ipc", ns, ro, restore, engine, 1, "System V and POSIX ipc namespace")             \
	ROW(task, ref, ns_pid, "ns/pid", ns, ro, restore, engine, 1, "pid namespace")                                \
	ROW(task, ref, ns_pid_for_children, "ns/pid_for_children", ns, ro, restore, engine, 1, "that of its next child") \
	ROW(task, ref, ns_net, "ns/net", ns, ro, restore, engine, 1, "network namespace")                            \
	ROW(task, ref, ns_user, "ns/user", ns, ro, restore, engine, 1, "user namespace")                             \
	ROW(task, ref, ns_cgroup, "ns/cgroup", ns, ro, restore, engine, 1, "cgroup namespace")                       \
	ROW(task, ref, ns_time, "ns/time", ns, ro, restore, engine, 1, "time namespace")                             \
	ROW(task, ref, ns_time_for_children, "ns/time_for_children", ns, ro, restore, engine, 1, "that of its next child") \
	ROW(task, none, comm, "comm", via_leader, derived, info, none, 1, "name of its first thread")                \
	ROW(task, none, cred, "cred", via_leader, derived, info, none, 1, "credentials of its first thread")         \
	ROW(task, none, nice, "sched/nice", via_leader, derived, info, none, 1, "nice value of its first thread")    \
	ROW(task, none, policy, "sched/policy", via_leader, derived, info, none, 1, "scheduling policy of its first thread") \
	ROW(task, none, personality, "personality", via_leader, derived, info, none, 1, "personality of its first thread") \
	ROW(task, none, seccomp, "seccomp", via_leader, derived, info, none, 1, "seccomp mode of its first thread")  \
	ROW(task, none, no_new_privs, "no_new_privs", via_leader, derived, info, none, 1, "of its first thread")     \
	ROW(task, none, exe, "exe", via_mm, derived, info, none, 1, "the program's file")                            \
	ROW(task, none, auxv, "auxv", via_mm, derived, info, none, 1, "auxiliary vector (getauxval(3))")             \
	ROW(task, none, dumpable, "dumpable", via_mm, derived, info, none, 1, "PR_SET_DUMPABLE (prctl(2))")          \
	ROW(task, none, cwd, "cwd", via_fs, derived, info, none, 1, "working directory")                             \
	ROW(task, none, root, "root", via_fs, derived, info, none, 1, "root directory")                              \
	ROW(task, none, umask, "umask", via_fs, derived, info, none, 1, "file mode creation mask")

/* A pending signal, of a task or of a thread (sigaction(2), siginfo_t). */
#define CRFS_SIGNAL_ROWS(ROW, object, target)                                                                        \
	ROW(object, ref, target, "", target, owner, restore, kernel, 1, "who it is for")                               \
	ROW(object, u64, index, "", dec, key, restore, kernel, 1, "place in the queue, from 0")                      \
	ROW(object, s32, signo, "signo", signal, ro, restore, kernel, 1, "the signal")                               \
	ROW(object, s32, code, "code", dec, rw, restore, kernel, 1, "si_code: where it came from")                   \
	ROW(object, s32, errno_, "errno", dec, rw, restore, kernel, 1, "si_errno")                                   \
	ROW(object, u32, queued, "queued", dec, ro, restore, kernel, 1, "0: only the bit is set, there is no siginfo") \
	ROW(object, bytes, fields, "fields", hexdump, rw, restore, kernel, 1,                                        \
	    "the rest of siginfo_t, from byte 16, without the zeros at its end")

#define CRFS_ROWS_signal(ROW) CRFS_SIGNAL_ROWS(ROW, signal, task)
#define CRFS_ROWS_thread_signal(ROW) CRFS_SIGNAL_ROWS(ROW, thread_signal, thread)

#define CRFS_REG_ROW(ROW, reg)                                                                                       \
	ROW(thread, u64, reg, "regs/" #reg, hex, rw, restore, kernel, 1, "register (struct user_regs_struct)")

#define CRFS_ROWS_thread(ROW)                                                                                        \
	ROW(thread, ref, task, "", task, owner, restore, kernel, 1, "the thread group")                              \
	ROW(thread, u64, tid, "", dec, key, restore, kernel, 1, "thread id, in the pid namespace of crfs")           \
	ROW(thread, bytes, nstid, "nstid", numbers, ro, restore, kernel, 1, "its tid in each namespace, outermost first") \
	ROW(thread, bytes, comm, "comm", text, rw, restore, kernel, 1, "name, at most 15 bytes (PR_SET_NAME)")       \
	ROW(thread, u32, state, "state", state, ro, restore, kernel, 1, "what it was doing")                         \
	ROW(thread, u32, blockers, "blockers", blockers, ro, check, kernel, 1, "states that cannot be restarted")    \
	ROW(thread, ref, cred, "cred", cred, ro, restore, kernel, 1, "credentials")                                  \
	CRFS_REG_ROW(ROW, r15)                                                                                       \
	CRFS_REG_ROW(ROW, r14)                                                                                       \
	CRFS_REG_ROW(ROW, r13)                                                                                       \
	CRFS_REG_ROW(ROW, r12)                                                                                       \
	CRFS_REG_ROW(ROW, rbp)                                                                                       \
	CRFS_REG_ROW(ROW, rbx)                                                                                       \
	CRFS_REG_ROW(ROW, r11)                                                                                       \
	CRFS_REG_ROW(ROW, r10)                                                                                       \
	CRFS_REG_ROW(ROW, r9)                                                                                        \
	CRFS_REG_ROW(ROW, r8)                                                                                        \
	CRFS_REG_ROW(ROW, rax)                                                                                       \
	CRFS_REG_ROW(ROW, rcx)                                                                                       \
	CRFS_REG_ROW(ROW, rdx)                                                                                       \
	CRFS_REG_ROW(ROW, rsi)                                                                                       \
	CRFS_REG_ROW(ROW, rdi)                                                                                       \
	CRFS_REG_ROW(ROW, orig_rax)                                                                                  \
	CRFS_REG_ROW(ROW, rip)                                                                                       \
	CRFS_REG_ROW(ROW, cs)                                                                                        \
	CRFS_REG_ROW(ROW, eflags)                                                                                    \
	CRFS_REG_ROW(ROW, rsp)                                                                                       \
	CRFS_REG_ROW(ROW, ss)                                                                                        \
	ROW(thread, u64, fs_base, "fs_base", hex, rw, restore, kernel, 1, "thread pointer (arch_prctl(2))")          \
	ROW(thread, u64, gs_base, "gs_base", hex, rw, restore, kernel, 1, "base of gs (arch_prctl(2))")              \
	CRFS_REG_ROW(ROW, ds)                                                                                        \
	CRFS_REG_ROW(ROW, es)                                                                                        \
	CRFS_REG_ROW(ROW, fs)                                                                                        \
	CRFS_REG_ROW(ROW, gs)                                                                                        \
	ROW(thread, bytes, fpu, "fpu", raw, rw, restore, kernel, 1, "extended state, as xsave lays it out (NT_X86_XSTATE)") \
	ROW(thread, u64, sigmask, "sigmask", sigset, rw, restore, kernel, 1, "blocked signals")                      \
	ROW(thread, u64, saved_sigmask, "saved_sigmask", sigset, rw, restore, kernel, 1,                             \
	    "blocked signals after the call it sleeps in (sigsuspend(2), ppoll(2))")                                 \
	ROW(thread, u32, restore_sigmask, "restore_sigmask", dec, ro, restore, kernel, 1, "1: saved_sigmask counts") \
	ROW(thread, u32, altstack_flags, "altstack/flags", ss_flags, rw, restore, kernel, 1, "sigaltstack(2)")       \
	ROW(thread, u64, altstack_sp, "altstack/sp", hex, rw, restore, kernel, 1, "its address")                     \
	ROW(thread, u64, altstack_size, "altstack/size", dec, rw, restore, kernel, 1, "bytes")                       \
	ROW(thread, u64, robust_list, "robust_list", hex, rw, restore, kernel, 1, "head of the list (get_robust_list(2))") \
	ROW(thread, u64, rseq_address, "rseq/address", hex, rw, restore, kernel, 1, "struct rseq, 0: not registered") \
	ROW(thread, u32, rseq_length, "rseq/length", dec, rw, restore, kernel, 1, "bytes")                           \
	ROW(thread, u32, rseq_signature, "rseq/signature", hex, rw, restore, kernel, 1, "signature before abort handlers") \
	ROW(thread, u64, clear_child_tid, "clear_child_tid", hex, rw, restore, kernel, 1, "set_tid_address(2)")      \
	ROW(thread, s64, syscall_nr, "syscall/nr", dec, ro, restore, kernel, 1, "interrupted call, -1: none")        \
	ROW(thread, u32, syscall_restart, "syscall/restart", syscall_restart, ro, restore, kernel, 1, "how it goes on") \
	ROW(thread, u32, syscall_block, "syscall/block", restart_block, ro, restore, kernel, 1, "what its restart block is") \
	ROW(thread, u32, syscall_clock, "syscall/clock", dec, ro, restore, kernel, 1, "clock that it sleeps by (clock_gettime(2))") \
	ROW(thread, u32, syscall_flags, "syscall/flags", hex, ro, restore, kernel, 1, "futex flags; 1 for a poll with a timeout") \
	ROW(thread, u64, syscall_remaining, "syscall/remaining", nsec, rw, restore, kernel, 1, "time left to sleep, seconds") \
	ROW(thread, u64, syscall_address, "syscall/address", hex, ro, restore, kernel, 1, "futex, pollfds, or where to write the rest") \
	ROW(thread, u64, syscall_value, "syscall/value", hex, ro, restore, kernel, 1, "futex value; number of pollfds") \
	ROW(thread, u64, syscall_bitset, "syscall/bitset", hex, ro, restore, kernel, 1, "futex bitset")              \
	ROW(thread, u32, policy, "sched/policy", sched_policy, rw, restore, kernel, 1, "sched(7)")                   \
	ROW(thread, s32, nice, "sched/nice", dec, rw, restore, kernel, 1, "nice value (setpriority(2))")             \
	ROW(thread, u32, priority, "sched/priority", dec, rw, restore, kernel, 1, "real-time priority (sched(7))")   \
	ROW(thread, u32, reset_on_fork, "sched/reset_on_fork", dec, rw, restore, kernel, 1, "SCHED_RESET_ON_FORK")   \
	ROW(thread, bytes, cpus, "sched/cpus", cpulist, rw, restore, kernel, 1, "cpus it may run on (sched_setaffinity(2))") \
	ROW(thread, u64, timerslack, "timerslack", nsec, rw, restore, kernel, 1, "PR_SET_TIMERSLACK, seconds")       \
	ROW(thread, u32, ioprio, "sched/ioprio", hex, rw, restore, kernel, 1, "ioprio_set(2)")                       \
	ROW(thread, u32, personality, "personality", hex8, rw, restore, kernel, 1, "personality(2)")                 \
	ROW(thread, u32, pdeath_signal, "pdeath_signal", signal, rw, restore, kernel, 1, "PR_SET_PDEATHSIG (prctl(2))") \
	ROW(thread, u32, seccomp, "seccomp", seccomp, ro, restore, kernel, 1, "seccomp mode (seccomp(2))")           \
	ROW(thread, u32, no_new_privs, "no_new_privs", dec, ro, restore, kernel, 1, "PR_SET_NO_NEW_PRIVS (prctl(2))") \
	ROW(thread, u32, exit_code, "exit_code", hex, ro, restore, kernel, 1, "of a zombie leader, as wait(2) gives it")

/* Where a `bytes` row lies: from the start of the record's body, not aligned, no NUL added. */
struct crfs_bytes {
	__u32 offset;
	__u32 length;
};

/* The structs on the wire, one a type, made from the rows. All little-endian. */
#define CRFS_MEMBER_u32(field) __u32 field;
#define CRFS_MEMBER_s32(field) __s32 field;
#define CRFS_MEMBER_u64(field) __u64 field;
#define CRFS_MEMBER_s64(field) __s64 field;
#define CRFS_MEMBER_ref(field) __u64 field;
#define CRFS_MEMBER_bytes(field) struct crfs_bytes field;
#define CRFS_MEMBER_none(field)
#define CRFS_MEMBER(object, wire, field, ...) CRFS_MEMBER_##wire(field)
#define CRFS_STRUCT(name, tag, owner, place, key, frozen, doc) \
	struct crfs_##name {                                    \
		CRFS_ROWS_##name(CRFS_MEMBER)                   \
	};
CRFS_OBJECTS(CRFS_STRUCT)

/* Record types: CRFS_TAG_task, ... A value used twice does not compile (see the switch). */
#define CRFS_TAG(name, tag, ...) CRFS_TAG_##name = tag,
enum crfs_tag { CRFS_OBJECTS(CRFS_TAG) };
#define CRFS_TAG_CASE(name, tag, ...) \
	case tag:                     \
		return 1;
static inline int crfs_tag_known(__u32 tag)
{
	switch (tag) {
		CRFS_OBJECTS(CRFS_TAG_CASE)
	default:
		return 0;
	}
}

/* No padding: each struct is as long as its members together. */
#define CRFS_SIZE_u32 4
#define CRFS_SIZE_s32 4
#define CRFS_SIZE_u64 8
#define CRFS_SIZE_s64 8
#define CRFS_SIZE_ref 8
#define CRFS_SIZE_bytes 8
#define CRFS_SIZE_none 0
#define CRFS_SIZE(object, wire, ...) +CRFS_SIZE_##wire
#define CRFS_SIZE_IN_1(object, wire, field, path, codec, access, restart, source, since, doc) \
	+((since) == 1 ? CRFS_SIZE_##wire : 0)
#ifdef __cplusplus
#define CRFS_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define CRFS_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif
#define CRFS_CHECK_STRUCT(name, tag, owner, place, key, frozen, doc)                                           \
	CRFS_STATIC_ASSERT(sizeof(struct crfs_##name) == 0 CRFS_ROWS_##name(CRFS_SIZE), #name " has padding"); \
	CRFS_STATIC_ASSERT((frozen) == 0 CRFS_ROWS_##name(CRFS_SIZE_IN_1), #name ": version 1 is frozen");
CRFS_OBJECTS(CRFS_CHECK_STRUCT)

#endif /* CRFS_SCHEMA_H */
