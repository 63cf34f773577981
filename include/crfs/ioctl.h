/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * /dev/crfs: how user space asks the module for a checkpoint, and for a restart.
 * docs/kernel-module.md tells the life of both.
 *
 * A checkpoint:
 *   dev  = open("/dev/crfs", O_RDWR | O_CLOEXEC)
 *   ckpt = ioctl(dev, CRFS_IOC_CHECKPOINT, ...)   a checkpoint, nothing frozen yet
 *          ioctl(ckpt, CRFS_IOC_FREEZE, ...)      one task after another: the root first,
 *                                                 then the children of each frozen task
 *          ioctl(ckpt, CRFS_IOC_CAPTURE, ...)     gathers the records of all of them
 *          read(ckpt, ...)                        the records: object records whose source
 *                                                 is `kernel`, then EXTENTS, as in an
 *                                                 image; 0 at their end
 *   mem  = ioctl(ckpt, CRFS_IOC_MEMORY, ...)      the memory of one mm or shmem; as many
 *                                                 as wanted, at once, from any thread
 *          pread(mem, buffer, length, address)
 *          ioctl(ckpt, CRFS_IOC_THAW, ...)        or close(ckpt), or the holder's death
 *
 * A restart: user space makes the tasks and threads, with their ids, descriptors,
 * credentials, limits and directories; the module puts their memory, registers and signal
 * state in place of those of the program that made them, without code of its own in them.
 *   rst = ioctl(dev, CRFS_IOC_RESTART, ...)       a restart, of nothing yet
 *         write(rst, ...)                         the records that the module consumes
 *         ioctl(rst, CRFS_IOC_SUPPLY, ...)        open files, for mappings and mm.exe
 *         ioctl(rst, CRFS_IOC_FILL, ...)          where saved memory is to be read from
 *   in each new thread, as soon as it is there:
 *         ioctl(rst, CRFS_IOC_JOIN, ...)          takes the place of one thread record;
 *                                                 it then prepares itself, and at last waits:
 *                                                 in the call whose restart block it needs
 *                                                 (see JOIN), or in pause(2)
 *   the holder, when all threads wait:
 *         ioctl(rst, CRFS_IOC_GATHER, ...)        parks all of them
 *         ioctl(rst, CRFS_IOC_BUILD, ...)         the address spaces, each by a thread of its own
 *         ioctl(rst, CRFS_IOC_START, ...)         registers, signals, and all go on together
 * Before START has succeeded, whatever fails, or the last close of rst by its holder, or the
 * holder's death, kills every thread that has joined: nothing of them runs and nothing is left,
 * but for programs that execve(2) made of them.
 *
 * Every argument struct begins with its size as the caller knows it; a longer one than
 * the module knows must be zero beyond (E2BIG), a shorter one is filled with zeros
 * (EINVAL below the first version's size). Reserved members and unknown flags are EINVAL.
 */
#ifndef CRFS_IOCTL_H
#define CRFS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CRFS_DEVICE_NAME "crfs"
#define CRFS_DEVICE_PATH "/dev/crfs"

/* On the device: what this module is. */
struct crfs_ioc_query {
	__u32 size;
	__u32 format;   /* out: CRFS_FORMAT_VERSION that the module emits */
	__u64 features; /* out: CRFS_FEATURE_* */
};
#define CRFS_FEATURE_CAPTURE (1ULL << 0)
#define CRFS_FEATURE_RESTART (1ULL << 1)

/* On the device: returns a new checkpoint's descriptor, close-on-exec. */
struct crfs_ioc_checkpoint {
	__u32 size;
	__u32 flags; /* 0 */
};

/*
 * On the checkpoint: freezes one task with all its threads; they stay frozen until the
 * thaw. `mem_fd` is the proof that the caller may ptrace the task: a descriptor of its
 * /proc/PID/mem, whose open the kernel itself has checked (ptrace(2), ptrace access mode
 * checking), of the address space that the task still has. For a zombie, which has none,
 * it is -1, and its parent must be frozen in this checkpoint.
 *
 * Freezing waits for every thread to reach user mode, timeout_ms at most.
 * Errors, with `tid` set where a thread is at fault; the task then runs on unharmed:
 *   EPERM    mem_fd is no proof for this task (another program since, by execve: open again)
 *   ESRCH    the task is gone           EINVAL   a kernel thread, or bad arguments
 *   EALREADY it is frozen already, here EBUSY    frozen by another checkpoint
 *   ETIMEDOUT a thread did not get to user mode: in an uninterruptible sleep, or vfork
 *   EDEADLK  the caller itself          EINTR    a signal came
 *   EOPNOTSUPP not an x86-64 task (32-bit or x32)
 */
struct crfs_ioc_freeze {
	__u32 size;
	__u32 flags;      /* 0 */
	__u32 pid;        /* the task, in the caller's pid namespace */
	__s32 mem_fd;     /* the proof, or -1; it also guards against a reused pid */
	__u32 timeout_ms; /* 0: 10 s */
	__u32 threads;    /* out: how many threads it has, zombie ones included */
	__u32 tid;        /* out: the thread at fault */
	__u32 reserved;   /* 0 */
};

/* On the checkpoint, once: gathers the records of all that is frozen. */
struct crfs_ioc_capture {
	__u32 size;
	__u32 flags;    /* 0 */
	__u64 records;  /* out: how many read() will give */
	__u64 bytes;    /* out: bytes that read() will give */
	__u64 memory;   /* out: bytes of memory that the EXTENTS records name */
	__u32 pid;      /* out, on failure: the task at fault */
	__u32 reserved; /* 0 */
};

/*
 * On the checkpoint, after capture: returns a descriptor, close-on-exec, whose offset is
 * an address (mm) or a file offset (shmem). pread(2), read(2) and splice(2) give the
 * memory whatever its protection. EFAULT where nothing is mapped or saved; ENODATA after
 * the thaw.
 */
struct crfs_ioc_memory {
	__u32 size;
	__u32 owner_type; /* CRFS_TAG_mm or CRFS_TAG_shmem */
	__u64 owner_id;   /* as in the records */
	__u32 flags;      /* 0 */
	__u32 reserved;   /* 0 */
};

/* On the checkpoint: lets all of its tasks go on. Says how long they stood. */
struct crfs_ioc_thaw {
	__u32 size;
	__u32 flags;     /* 0 */
	__u64 frozen_ns; /* out: from the first freeze to now */
};

/*
 * On the device: returns a new restart's descriptor, close-on-exec. Its holder is who
 * opened it: the table of descriptors it was returned to. Threads that join inherit it. EPERM:
 * the caller is under a seccomp filter, without CAP_SYS_ADMIN.
 *
 * write(2) on it appends records, each whole, with its header, as in an image
 * (crfs/image.h), types ascending, of: mm, vma, sighand, sigaction, task, signal, thread,
 * thread_signal. Their layout, checksums and values are checked on arrival, and what only
 * fits together by GATHER. A record that the end of the buffer cuts is not taken: it comes
 * again, whole, in the next write. Errors, if not even the first record was taken:
 *   EBADMSG  it is no good record; GATHER says the same, and which (`type`, `id`)
 *   EINVAL   a record of another type; or a thread has joined already
 *   EFBIG    more than 256 MiB
 */
struct crfs_ioc_restart {
	__u32 size;
	__u32 flags; /* 0 */
};

/*
 * On the restart, before GATHER: the open file that stands for one `file` (vma.file,
 * mm.exe) or `shmem` (vma.shmem) object. A reference is taken. A vma that has both is
 * mapped from its file if that was supplied. A file that is mapped shared and whose vma has
 * the flag mw must be open for writing. An mm.exe must be a regular file that the task may
 * execute. EBADF: not open, or O_PATH; EINVAL: it cannot be mapped; EEXIST: supplied already; EFBIG: more
 * than 1048576 files.
 */
struct crfs_ioc_supply {
	__u32 size;
	__u32 type; /* CRFS_TAG_file or CRFS_TAG_shmem */
	__u64 id;
	__s32 fd;
	__u32 flags; /* 0 */
};

/*
 * On the restart, before GATHER: returns the descriptor of new shared memory without a
 * name, as a shared anonymous mapping has (/dev/zero in /proc/PID/maps), close-on-exec,
 * open for reading and writing, to be filled by write(2) and supplied.
 */
struct crfs_ioc_shmem {
	__u32 size;
	__u32 flags; /* 0 */
	__u64 length; /* bytes, not 0 */
};

/* A range of an address space, and where its contents lie. */
struct crfs_fill {
	__u64 address; /* a multiple of the page size */
	__u64 length;  /* bytes, likewise, not 0 */
	__u64 offset;  /* in the file */
	__s32 fd;      /* readable; regular files and others that can be read at an offset */
	__u32 flags;   /* 0 */
};

/*
 * On the restart, before GATHER: ranges of one mm, whose record is written, to be filled by
 * BUILD, whatever their protection, ascending; several calls go on where the last one ended.
 * References to the files are taken. Each range lies within one vma, which is private
 * (shared memory is written through its own descriptor) and no vvar: see BUILD for a vdso.
 * ESRCH: no such mm record; EINVAL, EBADF: a range is bad, those before it are taken;
 * EFBIG: more than 8388608 ranges.
 */
struct crfs_ioc_fill {
	__u32 size;
	__u32 flags;   /* 0 */
	__u64 mm;      /* object id */
	__u64 ranges;  /* pointer to struct crfs_fill */
	__u32 count;   /* of them, 1 to CRFS_FILL_MAX */
	__u32 reserved; /* 0 */
};
#define CRFS_FILL_MAX 65536U

/*
 * On the restart, by each new thread of itself: it stands for the thread object `id`. Its
 * tid, as it sees it (gettid(2)), must be that of the record, its thread group that of the
 * task, and it must share its address space and its signal handlers with exactly those
 * threads whose records say so. A task whose record is a zombie joins too, and then exits,
 * whatever its exit status: START puts in that of the record. So does a thread group's
 * leader whose own record is a zombie (by exit(2), not exit_group(2)).
 *
 * All its signals must be blocked when it waits. A record whose syscall_restart is `block`
 * needs a restart block of its kind (syscall_block), so the thread waits in such a call,
 * whose pointers and flags may be its own, relative and for a long time:
 *   nanosleep        nanosleep(2)
 *   poll             poll(2) with a timeout
 *   futex            a futex(2) FUTEX_WAIT with a timeout
 *   cpu_nanosleep    clock_nanosleep(2) by CLOCK_PROCESS_CPUTIME_ID
 *   alarm_nanosleep  clock_nanosleep(2) by the clock of the record
 * START puts in what the record says, the time left counting from then. All others wait in
 * pause(2). What a thread has from user space stays as it is: descriptors, credentials,
 * limits, directories, scheduling, names, personality, seccomp, itimers of cpu time, the
 * parent's death signal. What the records of the list above tell is set by the module: all
 * pending signals, too. What is pending when START comes is thrown away.
 *
 * Before its threads wait, one of each mm has moved the kernel's own mappings, [vvar] (all
 * mappings whose names begin so) and [vdso], with mremap(2):
 *   - if the saved vdso is byte for byte the machine's: to where its vma records have them;
 *   - else, or if the mm has none: to where no vma of the mm stands. BUILD then makes the
 *     saved vdso ordinary private memory (r-xp) with what FILL gives for it: the saved bytes,
 *     with the entry of each function patched to jump to that of the new one.
 * For a vma with the flag mg a thread of the mm has called madvise(2) with MADV_MERGEABLE
 * on memory of its own.
 * Errors: ESRCH no such record, EINVAL it does not fit this thread, EEXIST it is taken,
 * ENODEV the restart is over.
 */
struct crfs_ioc_join {
	__u32 size;
	__u32 flags; /* 0 */
	__u64 id;    /* of the thread object */
};

/*
 * On the restart, each once and in this order: each waits for all threads, timeout_ms at
 * most (0: 10 s for GATHER and START, without end for BUILD). An error ends the restart: all
 * that has joined is killed. But EINVAL for bad arguments or the wrong order changes nothing,
 * and after EINTR, when a signal came, the same call goes on (SA_RESTART does it, too).
 *
 * GATHER parks all threads, and checks that records, files, ranges and threads fit together.
 * BUILD empties each address space but for [vvar] and [vdso], maps, fills, and sets the rows
 * of its mm. Ranges of a vdso that stands in its place are not written.
 * START first lets stopped tasks come to their stop, without a signal to parents that have
 * joined, and then all others go; nothing fails any more once the first one goes.
 *   ENODEV   the restart is over
 *   EBADMSG  a record is bad, or refers to what was not written, or vmas overlap
 *   ENOENT   a file or shmem was not supplied
 *   ESRCH    a thread is missing, or has died
 *   EINVAL   threads share what their records do not, or the other way round, have become
 *            another program by execve(2), or have POSIX timers; a range is not
 *            in a private vma; flags of a vma that cannot be had (`mr mw me` come from how
 *            its file is open and mounted); registers that no program can have; a restart
 *            block of another kind
 *   ENODATA  a file is too short for its range
 *   EFAULT   saved memory lies beyond the end of the file that its vma maps
 *   EEXIST   a vma lies where [vvar] or [vdso] stands
 *   EACCES, ETXTBSY  mm.exe may not be executed, or is open for writing
 *   EAGAIN   RLIMIT_MEMLOCK or RLIMIT_SIGPENDING
 *   EPERM    it may not lock memory, or have dumpable 2; an exit_signal other than SIGCHLD that
 *            clone(2) did not choose, to a parent that is neither joined nor the caller
 *   EOPNOTSUPP  a state of this kind cannot be restarted on this kernel
 *   ETIMEDOUT, ENOMEM, EDEADLK (the caller has joined), errors of reading a file
 */
struct crfs_ioc_step {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 timeout_ms;
	__u32 type;   /* out, on failure: the object at fault (enum crfs_tag), 0: none */
	__u64 id;     /* out: its id */
	__u64 detail; /* out: an address, or 0 */
};

/*
 * On the restart, by any thread of the holder but the one that calls BUILD, once GATHER has
 * succeeded: fills memory along with the threads that build, until BUILD is over. Any number
 * may help. 0: BUILD is over, whatever came of it; ENODEV the restart is over; EINVAL bad
 * arguments, or it is too early or too late; EINTR: a signal came, and if it came while memory
 * was being filled, BUILD fails.
 */
struct crfs_ioc_help {
	__u32 size;
	__u32 flags; /* 0 */
};

/* The argument is a pointer to the struct. The numbers hold no size, so structs may grow. */
#define CRFS_IOC_MAGIC 0xCF
#define CRFS_IOC_QUERY _IO(CRFS_IOC_MAGIC, 0)
#define CRFS_IOC_CHECKPOINT _IO(CRFS_IOC_MAGIC, 1)
#define CRFS_IOC_FREEZE _IO(CRFS_IOC_MAGIC, 2)
#define CRFS_IOC_CAPTURE _IO(CRFS_IOC_MAGIC, 3)
#define CRFS_IOC_MEMORY _IO(CRFS_IOC_MAGIC, 4)
#define CRFS_IOC_THAW _IO(CRFS_IOC_MAGIC, 5)
#define CRFS_IOC_RESTART _IO(CRFS_IOC_MAGIC, 6)
#define CRFS_IOC_SUPPLY _IO(CRFS_IOC_MAGIC, 7)
#define CRFS_IOC_SHMEM _IO(CRFS_IOC_MAGIC, 8)
#define CRFS_IOC_FILL _IO(CRFS_IOC_MAGIC, 9)
#define CRFS_IOC_JOIN _IO(CRFS_IOC_MAGIC, 10)
#define CRFS_IOC_GATHER _IO(CRFS_IOC_MAGIC, 11)
#define CRFS_IOC_BUILD _IO(CRFS_IOC_MAGIC, 12)
#define CRFS_IOC_START _IO(CRFS_IOC_MAGIC, 13)
#define CRFS_IOC_HELP _IO(CRFS_IOC_MAGIC, 14)

#endif /* CRFS_IOCTL_H */
