/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * /dev/crfs: how user space asks the module for a checkpoint. docs/kernel-module.md tells
 * the life of one.
 *
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

/* The argument is a pointer to the struct. The numbers hold no size, so structs may grow. */
#define CRFS_IOC_MAGIC 0xCF
#define CRFS_IOC_QUERY _IO(CRFS_IOC_MAGIC, 0)
#define CRFS_IOC_CHECKPOINT _IO(CRFS_IOC_MAGIC, 1)
#define CRFS_IOC_FREEZE _IO(CRFS_IOC_MAGIC, 2)
#define CRFS_IOC_CAPTURE _IO(CRFS_IOC_MAGIC, 3)
#define CRFS_IOC_MEMORY _IO(CRFS_IOC_MAGIC, 4)
#define CRFS_IOC_THAW _IO(CRFS_IOC_MAGIC, 5)

#endif /* CRFS_IOCTL_H */
