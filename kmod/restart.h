/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A restart in the making: what one descriptor of CRFS_IOC_RESTART stands for.
 *
 * Life: created empty; records, files and ranges are put into it; threads join, each by its
 * own call; gathered, built and started by the holder, once each. Whatever fails from
 * GATHER on, or the end of the holder, kills all that have joined.
 *
 * Only threads that have joined by themselves are ever touched, and only while they run the
 * program that joined: what execve(2) made of one since may have more rights than its maker.
 * So a task can be given nothing that it could not have given itself, but for what the
 * ioctl's page names.
 *
 * Locks, outermost first:
 *   crfs_restart.lock        every ioctl and write of one restart, but not while memory of the
 *                            caller is touched: that may fault for as long as he likes
 *     mmap_lock              of a space that is being built, by its builder and helpers
 *     siglock                of a joined task
 *       crfs_filling.lock, arg_lock, task_lock  (each alone, none below the siglock)
 * Parked threads hold none. A builder works without crfs_restart.lock, on what does not
 * change any more: the holder waits for it, or has given up and killed it. So does a helper,
 * who holds a reference to the mm: the builder may die meanwhile. Who waits under
 * crfs_restart.lock looks at crfs_restart.ending, so that a close never waits for long.
 */
#ifndef CRFS_KMOD_RESTART_H
#define CRFS_KMOD_RESTART_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include <crfs/ioctl.h>

#include "restart_records.h"

enum crfs_restart_step {
	CRFS_RESTART_OPEN,	/* takes records, files, ranges, joins */
	CRFS_RESTART_GATHERED,
	CRFS_RESTART_BUILT,
	CRFS_RESTART_OVER,	/* started, or killed */
};

/* The object at fault, as struct crfs_ioc_step tells it. */
struct crfs_fault {
	u32 type;
	u64 id;
	u64 detail;
};

struct crfs_restart {
	struct kref ref;
	struct mutex lock;
	fl_owner_t holder;		/* the descriptors of who opened it; constant */
	enum crfs_restart_step step;	/* written under the lock; helpers read it without */
	bool underway;			/* the next step has begun, and was interrupted; lock */
	bool ending;			/* the holder closes it; set once, read anywhere */
	struct crfs_records records;	/* lock; constant from the first join on */
	struct crfs_fault fault;	/* of a record that write(2) refused; lock */
	struct xarray files;		/* struct file by object id, with a reference; lock; */
	struct xarray shmems;		/* likewise; both constant from GATHER on */
	u64 supplies;			/* in both of them; lock */
	u64 fills;			/* ranges in all spaces; lock */
	struct list_head joiners;	/* crfs_joiner.node; lock */
	wait_queue_head_t settle;	/* the holder waits here for threads */
	wait_queue_head_t resume;	/* parked threads wait here */
	wait_queue_head_t help;		/* helpers wait here for something to fill */
};

/* A range of a space to be filled, as struct crfs_fill, with a reference to the file. */
struct crfs_range {
	u64 address;
	u64 length;
	loff_t offset;
	struct file *file;
	bool stands;			/* of a vdso that is there already; set by the builder */
};

/*
 * How far a space is filled. Its builder and any helpers take a piece at a time, those of a
 * huge page first.
 */
struct crfs_filling {
	struct mutex lock;
	bool open;			/* there may be pieces to take; read without the lock, too */
	bool huge;			/* now pieces that are a huge page, else the others */
	u64 range;			/* where the next piece is looked for */
	u64 done;			/* likewise, in that range, bytes */
	unsigned int busy;		/* pieces that are being filled; read without the lock, too */
	int err;			/* the first one */
	u64 address;			/* where */
	wait_queue_head_t idle;		/* the builder waits here for helpers */
};

/* What is known of one mm record: its mappings, its contents, who builds it. */
struct crfs_space {
	u64 id;
	const struct crfs_entry *record;
	const struct crfs_entry **vmas;	/* ascending; set by GATHER */
	u64 vma_count;
	struct crfs_range *ranges;	/* ascending; lock, constant from GATHER on */
	u64 range_count;
	u64 range_room;
	struct crfs_filling filling;
	struct mm_struct *mm;		/* of the parked threads, which keep it; set by GATHER */
	struct crfs_joiner *builder;	/* null: no thread has it */
	int result;			/* of the builder, and where it failed; read when it is done */
	struct crfs_fault fault;
};

enum crfs_joiner_state {
	CRFS_JOINER_FREE,	/* runs in user mode, or in its own system calls */
	CRFS_JOINER_CALLED,	/* its work is queued */
	CRFS_JOINER_PARKED,	/* waits in crfs_restart.resume */
	CRFS_JOINER_HELD,	/* the same, and stays there even when it is killed */
	CRFS_JOINER_STARTED,	/* it has its new state, and goes */
	CRFS_JOINER_OVER,	/* the restart ended without it; or it was killed */
};

/* What a parked thread is asked to do in its own context. */
enum crfs_job {
	CRFS_JOB_NONE,
	CRFS_JOB_BUILD,
	CRFS_JOB_FLUSH,
};

/* A thread that has joined. */
struct crfs_joiner {
	struct kref ref;		/* one of the list, one of the queued work */
	struct list_head node;		/* in crfs_restart.joiners */
	struct callback_head work;
	struct crfs_restart *restart;	/* with a reference */
	struct task_struct *task;	/* with a reference */
	struct mm_struct *mm;		/* when it joined; mm_count is held, to compare */
	u64 exec_id;			/* likewise: of the program that joined */
	u64 id;				/* of the thread record */
	u64 task_id;			/* of the task record */
	bool zombie;			/* it is to exit, not to park */
	atomic_t state;			/* enum crfs_joiner_state */
	atomic_t job;			/* enum crfs_job; set by the holder, cleared by the thread */
	struct crfs_space *space;	/* that of its task; set by GATHER; null: zombie */
};

static inline const struct crfs_thread *crfs_thread_of(const struct crfs_joiner *joiner)
{
	return crfs_record(&joiner->restart->records, CRFS_TAG_thread, joiner->id);
}

static inline const struct crfs_task *crfs_task_of(const struct crfs_joiner *joiner)
{
	return crfs_record(&joiner->restart->records, CRFS_TAG_task, joiner->task_id);
}

/* Does it still take what the next steps work on? Its lock is held. */
static inline int crfs_check_open(const struct crfs_restart *restart)
{
	if (restart->step == CRFS_RESTART_OVER)
		return -ENODEV;
	return restart->step == CRFS_RESTART_OPEN && !restart->underway ? 0 : -EINVAL;
}

/* Does the thread run the program that joined? */
static inline bool crfs_is_same_program(const struct crfs_joiner *joiner)
{
	return READ_ONCE(joiner->task->self_exec_id) == joiner->exec_id;
}

/* restart.c */
int crfs_restart_open(void);
void crfs_restart_put(struct crfs_restart *restart);

/* restart_supply.c */
int crfs_supply(struct crfs_restart *restart, const struct crfs_ioc_supply *args);
int crfs_fill(struct crfs_restart *restart, const struct crfs_ioc_fill *args);
struct crfs_space *crfs_space_of(struct crfs_restart *restart, u64 id);
struct file *crfs_file_of(struct crfs_restart *restart, const struct crfs_vma *vma);
void crfs_supply_free(struct crfs_restart *restart);
int crfs_shmem_open(u64 length);

/* restart_join.c */
int crfs_join(struct crfs_restart *restart, u64 id);
int crfs_gather(struct crfs_restart *restart, unsigned long deadline, struct crfs_fault *fault);
int crfs_do_job(struct crfs_restart *restart, enum crfs_job job, unsigned long deadline,
		struct crfs_fault *fault);
void crfs_restart_kill(struct crfs_restart *restart);
void crfs_joiners_drop(struct crfs_restart *restart);

/* restart_check.c: does all that was written and joined fit together? */
int crfs_check_references(struct crfs_restart *restart, struct crfs_fault *fault);
int crfs_check_joiners(struct crfs_restart *restart, struct crfs_fault *fault);

/* restart_build.c, restart_fill.c, restart_mm.c: in the context of a thread of the space. */
int crfs_build(struct crfs_restart *restart, struct crfs_space *space);
int crfs_fill_space(struct crfs_restart *restart, struct crfs_space *space);
int crfs_help(struct crfs_restart *restart, const struct crfs_ioc_help *args);
bool crfs_is_own_vdso(struct mm_struct *mm, const struct crfs_vma *vma);
int crfs_set_mm(struct crfs_restart *restart, struct crfs_space *space);

/* restart_start.c */
int crfs_start(struct crfs_restart *restart, unsigned long deadline, struct crfs_fault *fault);

/* restart_thread.c, restart_call.c: of a held thread that is off its cpu. */
int crfs_set_thread(struct crfs_joiner *joiner);
int crfs_set_call(struct task_struct *task, const struct crfs_thread *thread);

/* restart_signal.c */
void crfs_flush_own_signals(void);
int crfs_queue_signals(struct crfs_restart *restart, struct crfs_fault *fault);
void crfs_set_sighands(struct crfs_restart *restart);
void crfs_hush_parents(struct crfs_restart *restart);
void crfs_set_mask(struct crfs_joiner *joiner);
void crfs_set_itimer(struct crfs_joiner *joiner);

#endif /* CRFS_KMOD_RESTART_H */
