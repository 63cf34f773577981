/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrfs: a program saves itself. C99 and C++; link with -lcrfs (pkg-config crfs).
 *
 * The library runs the program crfs, which takes the checkpoint by ptrace(2): $CRFS names it, else
 * it is looked for in PATH, then where it was installed. No module is needed. The caller and all of
 * its threads, as they stand, and all of its descendants are stopped for a moment: until their
 * state has been read and their memory has been copied by fork (the copies share it until somebody
 * writes). Then they go on, and crfs writes the image from the copies. None of them sees a stop, a
 * signal, an EINTR or a child of it.
 *
 * Threads: every function may be called by any thread, at any time, also after fork(2) in the child
 * (which has no checkpoint of its own then). crfs_checkpoint_begin() and crfs_checkpoint_self() may
 * be called by a handler of a signal if the callbacks may. None is a cancellation point.
 *
 * What may stand in the way: the caller must be one that crfs may ptrace (it has not given up
 * PR_SET_DUMPABLE, nobody traces it; where Yama restricts ptrace(2), the library names crfs by
 * PR_SET_PTRACER and takes that back, but its descendants, unless they do the same, take
 * CAP_SYS_PTRACE). A seccomp filter is crfs's, too, which it seldom lets work. The copies count in
 * RLIMIT_NPROC, as tasks in the cgroup, and for overcommitted memory. A caller that is a reaper (the
 * first task of a pid namespace, PR_SET_CHILD_SUBREAPER) gets crfs itself as an orphan, as it gets
 * any.
 */
#ifndef CRFS_CRFS_H
#define CRFS_CRFS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum crfs_scope {
	CRFS_SCOPE_TREE = 0, /* the caller and all of its descendants */
	/*
	 * All of the pid namespace of the caller: a container saves itself. The root is its task 1,
	 * and /proc must be that of the namespace. crfs is no part of what is saved.
	 */
	CRFS_SCOPE_NAMESPACE = 1
};

/*
 * To be filled with zeros but for `size` (CRFS_CHECKPOINT_OPTIONS_INIT does); no options at all
 * (NULL) mean the same. Later versions add fields at the end.
 */
struct crfs_checkpoint_options {
	size_t size;       /* sizeof(struct crfs_checkpoint_options), bytes */
	int scope;         /* enum crfs_scope */
	int reserved;      /* 0 */
	char *error;       /* where to say why, if the function fails: text, ended by a NUL, or NULL */
	size_t error_size; /* bytes there; what does not fit is cut off */
};

#define CRFS_CHECKPOINT_OPTIONS_INIT {sizeof(struct crfs_checkpoint_options), 0, 0, NULL, 0}

/*
 * Saves the caller in the image `path` (relative to its working directory). Returns
 *
 *    0  in the program that goes on, as soon as it does: all is copied, and the image is still being
 *       written. crfs_checkpoint_wait() tells how that ends.
 *    1  in the program that was restarted from the image.
 *   -1  and sets errno: the program goes on and is not saved, no image is left, and nothing of an
 *       attempt stays behind.
 *
 * Sleeps meanwhile; other threads run until they are stopped, and thereafter. errno:
 *
 *   EBUSY      another checkpoint of this process is in progress, or somebody is just being told how
 *              it ended
 *   EINVAL     the options are none; the path is empty
 *   E2BIG      the options have a field that this version does not know
 *   ENOENT     the program crfs is not there, or a folder of the path
 *   EACCES, EPERM, EROFS, ENOTDIR, ...
 *              the image cannot be made; crfs cannot be run, or may not ptrace
 *   EEXIST     a debugger traces one of the tasks, or another crfs does
 *   EAGAIN     no more processes (RLIMIT_NPROC, pids.max)
 *   ENOMEM     no memory for a copy
 *   EOPNOTSUPP a state of the program cannot be restarted: the text names it
 *   ECANCELED  crfs was killed, may not ptrace the caller, or is another program
 *   ENOSPC, EIO, EDQUOT, EFBIG
 *              the image cannot be written
 */
int crfs_checkpoint_self(const char *path, const struct crfs_checkpoint_options *options);

/*
 * The same, but returns as soon as crfs has been started: 0, or -1 and errno as above. The moment
 * that is saved comes a little later, wherever the threads are then. `path` and `options` are not
 * used after it returns.
 */
int crfs_checkpoint_begin(const char *path, const struct crfs_checkpoint_options *options);

/*
 * Waits until the checkpoint that was begun last has ended. Any number of threads may, any number of
 * times; all get the same answer.
 *
 *    0  the image is complete, on the disk, under its name
 *    1  this is the program that was restarted
 *   -1  and sets errno as above; no image is left. `error` (or NULL) says why in at most `size`
 *       bytes. ETIMEDOUT: it is still in progress after `timeout` milliseconds (-1: waits for ever;
 *       0: only asks). ECHILD: no checkpoint was begun by this process.
 */
int crfs_checkpoint_wait(int timeout, char *error, size_t size);

/*
 * Registers what is to be called around each checkpoint with `argument`, for as long as the program
 * lives; each of the three may be NULL. As with pthread_atfork(3), `before` is called in the reverse
 * order of registration, the others in that order:
 *
 *   before    in crfs_checkpoint_begin() and crfs_checkpoint_self(), before crfs is started. It may
 *             put things into a state that can be saved.
 *   after     in the program that goes on, whether or not the checkpoint succeeds: by
 *             crfs_checkpoint_self(), or by the first crfs_checkpoint_wait() that finds that
 *             everything has been copied, or by the next checkpoint.
 *   restarted instead of `after` in the program that was restarted, before the function returns 1.
 *
 * They are called by the thread that calls the function, and must not call this library. Returns 0,
 * or -1 with ENOMEM.
 */
int crfs_checkpoint_callbacks(void (*before)(void *argument), void (*after)(void *argument),
			      void (*restarted)(void *argument), void *argument);

/*
 * What is not worth saving. A mark holds for every checkpoint of the program from then on, whoever
 * takes it: this library, `crfs checkpoint PID`, `crfs run`. fork(2) copies the marks, execve(2)
 * drops them, and a restarted program has them again. In the image, what was left out is named as
 * such (`excluded` in the tree). These functions take no lock and may be called by handlers of
 * signals.
 *
 * crfs_exclude() marks memory: the pages that lie as a whole in `length` bytes from `address` on. In
 * the restarted program they are zero, also in a private mapping of a file. Memory that is mapped
 * shared is saved all the same. What is mapped there later is marked, too, so take the mark back
 * with crfs_include(), of the same address and length, before the memory is freed.
 *
 * crfs_exclude_fd() marks a descriptor, by its number: it is closed in the restarted program, and
 * whatever it is (a TCP socket, say), it does not stand in the way of a checkpoint. Other
 * descriptors that share its open file are saved as ever. Take the mark back with
 * crfs_include_fd() before the number is used for something else.
 *
 * Marks that say the same count once; taking one back takes all of them back. All return 0, or -1
 * and set errno:
 *
 *   EINVAL  `length` is 0, or goes beyond the end of all addresses
 *   EBADF   `fd` is negative
 *   ENOMEM  no memory for marks
 *   ENOSPC  there are too many (more than 40,000)
 *   ENOENT  there is no such mark to be taken back
 */
int crfs_exclude(void *address, size_t length);
int crfs_include(void *address, size_t length);
int crfs_exclude_fd(int fd);
int crfs_include_fd(int fd);

#ifdef __cplusplus
}
#endif

#endif /* CRFS_CRFS_H */
