/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A checkpoint in the making: what one descriptor of CRFS_IOC_CHECKPOINT stands for.
 *
 * Life: created empty; tasks are frozen into it one after another; captured once; its
 * memory is read; thawed by the ioctl, or when who froze the tasks closes its last
 * descriptor or dies, whichever is first. Memory descriptors keep the struct, but neither
 * the tasks frozen nor their address spaces alive.
 *
 * Locks, outermost first:
 *   crfs_session.lock        every ioctl of one checkpoint, but not while memory of the
 *                            caller is touched; who waits under it looks at `ending`
 *     mmap_lock (read)       of a target, while its mappings are collected
 *     crfs_claims_lock       which tasks are frozen by any session
 *     crfs_parkers_lock      the works queued on threads, and whom each serves
 *     task_lock()            of a target, to read what exit takes away
 *       file_lock, fs->lock  of a target
 *     siglock                of a target
 * crfs_claims_lock and crfs_parkers_lock are never held together, nor with a target's.
 * A parked thread holds none: it waits for crfs_group.released alone.
 */
#ifndef CRFS_KMOD_SESSION_H
#define CRFS_KMOD_SESSION_H

#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <crfs/ioctl.h>

#include "objects.h"
#include "stream.h"

struct crfs_session {
	struct kref ref;
	struct mutex lock;
	struct list_head tasks;		/* crfs_group.node, as frozen; lock */
	ktime_t since;			/* the first freeze began; lock */
	u64 frozen_ns;			/* how long it lasted, once thawed; lock */
	fl_owner_t holder;		/* the descriptors of who freezes, last; read anywhere */
	bool ending;			/* the holder closes it; set once, read anywhere */
	bool captured;			/* lock */
	bool thawed;			/* set once, under lock; read anywhere */
	struct crfs_stream stream;	/* written by capture under lock, then constant */
	struct crfs_objects objects;	/* likewise */
};

/* A frozen thread group. Parked threads keep the struct through their crfs_thread. */
struct crfs_group {
	struct kref ref;
	struct list_head node;		/* in crfs_session.tasks */
	struct list_head claim;		/* in the list of all frozen tasks; crfs_claims_lock */
	struct crfs_session *session;	/* while claimed */
	struct pid *pid;		/* of the thread group; the key of the claim */
	struct task_struct *leader;	/* with a reference, until released */
	struct mm_struct *mm;		/* mm_users is held until released; null: zombie */
	struct list_head threads;	/* crfs_member.node; session lock */
	DECLARE_HASHTABLE(known, 6);	/* crfs_member.known by task_struct; session lock */
	unsigned int thread_count;
	atomic_t unsettled;		/* armed threads that neither parked nor went away */
	wait_queue_head_t settle;	/* the freezer waits here for threads */
	wait_queue_head_t thaw;		/* parked threads wait here */
	bool released;			/* set once; read by parked threads */
};

enum crfs_member_state {
	CRFS_THREAD_ARMED,	/* its work is queued */
	CRFS_THREAD_PARKED,	/* it waits in crfs_group.thaw */
	CRFS_THREAD_GONE,	/* it exits, or was killed while it was parked */
};

struct crfs_member {
	struct kref ref;		/* one of the list, one of the parker */
	struct list_head node;		/* in crfs_group.threads */
	struct hlist_node known;	/* in crfs_group.known */
	struct crfs_group *owner;	/* with a reference */
	struct task_struct *task;	/* with a reference */
	u32 tid;			/* in the capturing caller's pid namespace; session lock */
	enum crfs_member_state state;	/* written by the thread itself */
};

/* session.c */
struct crfs_session *crfs_session_create(void);
struct crfs_session *crfs_session_get(struct crfs_session *session);
void crfs_session_put(struct crfs_session *session);
u64 crfs_session_thaw(struct crfs_session *session);
int crfs_session_open(void);

static inline bool crfs_session_is_thawed(const struct crfs_session *session)
{
	return smp_load_acquire(&session->thawed);
}

/* freeze.c */
int crfs_freeze(struct crfs_session *session, struct crfs_ioc_freeze *args);

/* group.c */
struct crfs_group *crfs_task_create(struct crfs_session *session, struct task_struct *leader,
				    struct mm_struct *mm);
int crfs_add_threads(struct crfs_group *task);
void crfs_task_release(struct crfs_group *task);
void crfs_task_put(struct crfs_group *task);
void crfs_thread_put(struct crfs_member *thread);
int crfs_thread_settle(struct crfs_member *thread);

/* Where a settled thread stands; the first two do not run. */
enum crfs_standing {
	CRFS_STANDS_PARKED,
	CRFS_STANDS_STOPPED,	/* by a signal or a tracer: may turn into parked at any time */
	CRFS_STANDS_DEAD,
	CRFS_STANDS_NOT,
};
enum crfs_standing crfs_thread_standing(struct crfs_member *thread);

/* park.c */
int crfs_park_arm(struct crfs_member *thread);
void crfs_park_disarm(struct crfs_member *thread);
void crfs_park_exit(void);

/* proof.c */
struct mm_struct *crfs_proof(struct task_struct *leader, int mem_fd);
int crfs_proof_zombie(struct crfs_session *session, struct task_struct *task);
bool crfs_has_mm(struct task_struct *task, struct mm_struct *mm);

/* capture.c */
int crfs_capture(struct crfs_session *session, struct crfs_ioc_capture *args);

/* outside.c */
void crfs_note_sharing(struct crfs_session *session);

/* memory.c */
int crfs_memory_open(struct crfs_session *session, const struct crfs_ioc_memory *args);
ssize_t crfs_mm_read(struct mm_struct *mm, unsigned long address, void *buffer, size_t length);

#endif /* CRFS_KMOD_SESSION_H */
