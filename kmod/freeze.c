// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freezing a thread group: arm every thread, wait until each stands still, look for new
 * ones, until there is none.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <asm/segment.h>

#include "compat.h"
#include "session.h"

#define CRFS_FREEZE_TIMEOUT_MS 10000
/* Threads that stop or exit do not tell: how often to look at them. */
#define CRFS_SETTLE_POLL_JIFFIES 1

/* Drops threads that died. Returns the first that does not stand yet, or null. */
static struct crfs_member *crfs_first_unsettled(struct crfs_group *task)
{
	struct crfs_member *thread, *next, *first = NULL;

	list_for_each_entry_safe(thread, next, &task->threads, node) {
		switch (crfs_thread_standing(thread)) {
		case CRFS_STANDS_DEAD:
			if (thread_group_leader(thread->task))
				break;
			crfs_park_disarm(thread);
			list_del(&thread->node);
			hash_del(&thread->known);
			crfs_thread_put(thread);
			break;
		case CRFS_STANDS_NOT:
			if (!first)
				first = thread;
			break;
		default:
			break;
		}
	}
	return first;
}

static bool crfs_is_exiting(struct task_struct *leader)
{
	return READ_ONCE(leader->signal->flags) & SIGNAL_GROUP_EXIT;
}

/* Waits until every known thread stands. */
static int crfs_settle(struct crfs_group *task, unsigned long deadline, u32 *tid)
{
	struct crfs_member *thread;
	long err;

	while ((thread = crfs_first_unsettled(task))) {
		if (crfs_is_exiting(task->leader))
			return -ESRCH;
		if (READ_ONCE(task->session->ending))
			return -EINTR;
		if (time_after(jiffies, deadline)) {
			*tid = task_pid_vnr(thread->task);
			return -ETIMEDOUT;
		}
		/* Those that parked a moment ago have only to leave their cpu. */
		if (smp_load_acquire(&thread->state) == CRFS_THREAD_PARKED) {
			usleep_range(10, 50);
			continue;
		}
		err = wait_event_interruptible_timeout(task->settle,
						       !atomic_read(&task->unsettled),
						       CRFS_SETTLE_POLL_JIFFIES);
		if (err < 0)
			return -EINTR;
		/* All are parked or gone, so the event does not make it wait for the latter. */
		if (err > 0 && smp_load_acquire(&thread->state) == CRFS_THREAD_GONE)
			usleep_range(50, 200);
		if (signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* A native one. Its stack lasts while it stands and the siglock is held. */
static int crfs_check_native(struct crfs_member *thread)
{
	struct task_struct *task = thread->task;
	struct sighand_struct *sighand;
	enum crfs_standing standing;
	unsigned long flags;
	int err = -ESRCH;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -ESRCH;
	standing = crfs_thread_standing(thread);
	if (standing == CRFS_STANDS_PARKED || standing == CRFS_STANDS_STOPPED)
		err = task_pt_regs(task)->cs != __USER_CS || test_tsk_thread_flag(task, TIF_ADDR32)
			      ? -EOPNOTSUPP : 0;
	else if (standing == CRFS_STANDS_NOT)
		err = -EAGAIN;
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return err;
}

/* Is what stands now what the caller gave its proof for, and of a kind that can be saved? */
static int crfs_check_frozen(struct crfs_group *task, u32 *tid)
{
	struct crfs_member *thread;
	int err;

	if (crfs_is_exiting(task->leader))
		return -ESRCH;
	list_for_each_entry(thread, &task->threads, node) {
		*tid = task_pid_vnr(thread->task);
		if (READ_ONCE(thread->task->exit_state))
			continue;
		if (!crfs_has_mm(thread->task, task->mm))
			return -EPERM;
		if (crfs_is_worker(thread->task))
			continue;
		/* Stopped before, and on its way to where it parks. */
		while ((err = crfs_check_native(thread)) == -EAGAIN && !crfs_thread_settle(thread))
			;
		if (err)
			return err == -EAGAIN ? -ESRCH : err;
	}
	*tid = 0;
	return 0;
}

static int crfs_freeze_threads(struct crfs_group *task, unsigned long deadline, u32 *tid)
{
	struct crfs_member *thread;
	int added, err;

	for (;;) {
		added = crfs_add_threads(task);
		if (added < 0)
			return added;
		err = crfs_settle(task, deadline, tid);
		if (err)
			return err;
		if (!added)
			break;
		if (READ_ONCE(task->session->ending))
			return -EINTR;
		/* A group that clones without end is looked at without end, but for this. */
		if (time_after(jiffies, deadline)) {
			*tid = task_pid_vnr(task->leader);
			return -ETIMEDOUT;
		}
	}
	if (list_empty(&task->threads))
		return -ESRCH;
	task->thread_count = 0;
	list_for_each_entry(thread, &task->threads, node)
		task->thread_count++;
	return crfs_check_frozen(task, tid);
}

/* A zombie stands still by itself: wait until the last of its threads is one. */
static int crfs_freeze_zombie(struct crfs_group *task, unsigned long deadline, u32 *tid)
{
	struct task_struct *leader = task->leader;
	int err;

	while (!READ_ONCE(leader->exit_state) || !thread_group_empty(leader)) {
		if (!crfs_is_exiting(leader) && !(READ_ONCE(leader->flags) & PF_EXITING))
			return -EPERM;
		*tid = task_pid_vnr(leader);
		if (READ_ONCE(task->session->ending))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		if (schedule_timeout_interruptible(1) && signal_pending(current))
			return -EINTR;
	}
	*tid = 0;
	if (!pid_task(task->pid, PIDTYPE_PID))
		return -ESRCH;
	err = crfs_add_threads(task);
	if (err < 0)
		return err;
	task->thread_count = 1;
	return list_empty(&task->threads) ? -ESRCH : 0;
}

/**
 * crfs_freeze - freeze one thread group into a session
 * @session: whose lock is held
 * @args: as in include/crfs/ioctl.h; flags and reserved members are checked already
 *
 * Return: 0, or an error as listed there; then the task runs on.
 */
int crfs_freeze(struct crfs_session *session, struct crfs_ioc_freeze *args)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(args->timeout_ms ?: CRFS_FREEZE_TIMEOUT_MS);
	struct mm_struct *mm = NULL;
	struct task_struct *leader;
	struct crfs_group *task;
	struct pid *pid;
	ktime_t begin = ktime_get();
	int err;

	lockdep_assert_held(&session->lock);
	if (!args->pid || args->pid > INT_MAX || args->mem_fd < -1)
		return -EINVAL;
	pid = find_get_pid(args->pid);
	leader = get_pid_task(pid, PIDTYPE_TGID);
	put_pid(pid);
	if (!leader)
		return -ESRCH;
	err = -EINVAL;
	if (leader->flags & PF_KTHREAD)
		goto put_leader;
	err = -EDEADLK;
	if (same_thread_group(leader, current))
		goto put_leader;
	if (args->mem_fd >= 0) {
		mm = crfs_proof(leader, args->mem_fd);
		err = PTR_ERR_OR_ZERO(mm);
	} else {
		err = crfs_proof_zombie(session, leader);
	}
	if (err)
		goto put_leader;

	task = crfs_task_create(session, leader, mm);
	if (IS_ERR(task))
		return PTR_ERR(task);
	if (mm)
		err = crfs_freeze_threads(task, deadline, &args->tid);
	else
		err = crfs_freeze_zombie(task, deadline, &args->tid);
	if (err) {
		crfs_task_release(task);
		return err;
	}
	if (list_empty(&session->tasks))
		session->since = begin;
	list_add_tail(&task->node, &session->tasks);
	args->threads = task->thread_count;
	return 0;

put_leader:
	put_task_struct(leader);
	return err;
}
