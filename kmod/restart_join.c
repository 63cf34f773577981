// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that have joined: how they are called to where they stand still, do what they
 * are asked to, and leave again, started or dead.
 *
 * As in park.c they stand in a task work, on their way back to user mode. A queued work
 * cannot be taken back, so it keeps the joiner and the module.
 */
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "compat.h"
#include "restart.h"

static void crfs_joiner_free(struct kref *ref)
{
	struct crfs_joiner *joiner = container_of(ref, struct crfs_joiner, ref);

	put_task_struct(joiner->task);
	mmdrop(joiner->mm);
	crfs_restart_put(joiner->restart);
	kfree(joiner);
}

static void crfs_joiner_put(struct crfs_joiner *joiner)
{
	kref_put(&joiner->ref, crfs_joiner_free);
}

/* Does a job in the context of the joined thread. */
static void crfs_work_on(struct crfs_joiner *joiner)
{
	if (atomic_read(&joiner->job) == CRFS_JOB_FLUSH)
		crfs_flush_own_signals();
	else if (joiner->space && joiner->space->builder == joiner)
		joiner->space->result = crfs_build(joiner->restart, joiner->space);
	atomic_set_release(&joiner->job, CRFS_JOB_NONE);
	wake_up(&joiner->restart->settle);
}

static bool crfs_has_to_act(struct crfs_joiner *joiner)
{
	return atomic_read_acquire(&joiner->state) >= CRFS_JOINER_STARTED ||
	       atomic_read_acquire(&joiner->job) != CRFS_JOB_NONE;
}

/* The last of it, by the thread itself: what only it can set, or what others cannot see. */
static void crfs_finish_own(void)
{
	spin_lock_irq(&current->sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&current->sighand->siglock);
	/* It may stand in a critical section, which has been left, and its cpu is another. */
	preempt_disable();
	rseq_preempt(current);
	preempt_enable();
}

/* Waits to be started, or for the end. */
static void crfs_stand(struct crfs_joiner *joiner)
{
	struct crfs_restart *restart = joiner->restart;
	/* Another program since, by execve(2), is not to be kept waiting. */
	int stand = crfs_is_same_program(joiner) ? CRFS_JOINER_PARKED : CRFS_JOINER_OVER;

	if (atomic_cmpxchg(&joiner->state, CRFS_JOINER_CALLED, stand) != CRFS_JOINER_CALLED)
		return;
	wake_up(&restart->settle);
	if (stand == CRFS_JOINER_OVER)
		return;
	for (;;) {
		if (wait_event_state(restart->resume, crfs_has_to_act(joiner),
				     (TASK_KILLABLE | TASK_FREEZABLE)))
			break;
		if (atomic_read_acquire(&joiner->state) >= CRFS_JOINER_STARTED)
			break;
		crfs_work_on(joiner);
	}
	/* Killed: but not while the starter has its hands on it. */
	if (atomic_cmpxchg(&joiner->state, CRFS_JOINER_PARKED, CRFS_JOINER_OVER) ==
	    CRFS_JOINER_HELD)
		wait_event(restart->resume,
			   atomic_read_acquire(&joiner->state) != CRFS_JOINER_HELD);
	wake_up(&restart->settle);
	if (atomic_read(&joiner->state) == CRFS_JOINER_STARTED)
		crfs_finish_own();
}

static void crfs_stand_work(struct callback_head *work)
{
	struct crfs_joiner *joiner = container_of(work, struct crfs_joiner, work);

	if (!(current->flags & PF_EXITING)) {
		crfs_stand(joiner);
	} else {
		atomic_set_release(&joiner->state, CRFS_JOINER_OVER);
		wake_up(&joiner->restart->settle);
	}
	crfs_joiner_put(joiner);
	/* The few instructions that follow are covered by crfs_park_exit(). */
	module_put(THIS_MODULE);
}

/**
 * crfs_join - the calling thread takes the place of a thread record
 * @restart: open; its lock is held
 * @id: of the record
 *
 * Return: 0, or an error as listed in include/crfs/ioctl.h.
 */
int crfs_join(struct crfs_restart *restart, u64 id)
{
	struct crfs_entry *entry = crfs_find_entry(&restart->records, CRFS_TAG_thread, id);
	const struct crfs_thread *thread;
	const struct crfs_task *task;
	struct crfs_joiner *joiner;

	if (!entry)
		return -ESRCH;
	thread = entry->wire;
	task = crfs_record(&restart->records, CRFS_TAG_task, thread->task);
	if (!task)
		return -ESRCH;
	if (entry->attached)
		return -EEXIST;
	if (thread->tid != task_pid_vnr(current) || task->pid != task_tgid_vnr(current))
		return -EINVAL;
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (joiner->task == current)
			return -EINVAL;
	}
	joiner = kzalloc(sizeof(*joiner), GFP_KERNEL_ACCOUNT);
	if (!joiner)
		return -ENOMEM;
	kref_init(&joiner->ref);
	init_task_work(&joiner->work, crfs_stand_work);
	kref_get(&restart->ref);
	joiner->restart = restart;
	joiner->task = get_task_struct(current);
	joiner->mm = current->mm;
	mmgrab(joiner->mm);
	joiner->exec_id = current->self_exec_id;
	joiner->id = id;
	joiner->task_id = thread->task;
	joiner->zombie = thread->state == CRFS_state_zombie || task->state == CRFS_state_zombie;
	list_add_tail(&joiner->node, &restart->joiners);
	entry->attached = joiner;
	return 0;
}

/* Queues the work of a thread. One that exits already will be found out while waiting. */
static void crfs_call(struct crfs_joiner *joiner)
{
	kref_get(&joiner->ref);
	__module_get(THIS_MODULE);
	atomic_set(&joiner->state, CRFS_JOINER_CALLED);
	if (task_work_add(joiner->task, &joiner->work, TWA_SIGNAL)) {
		atomic_set(&joiner->state, CRFS_JOINER_OVER);
		module_put(THIS_MODULE);
		crfs_joiner_put(joiner);
	}
}

/* Has it come to where it is awaited? 1: yes; 0: not yet; -ESRCH: it never will. */
static int crfs_has_settled(struct crfs_joiner *joiner)
{
	bool dead = READ_ONCE(joiner->task->exit_state);

	if (joiner->zombie)
		return dead;
	if (dead || atomic_read_acquire(&joiner->state) == CRFS_JOINER_OVER)
		return -ESRCH;
	return atomic_read(&joiner->state) == CRFS_JOINER_PARKED &&
	       atomic_read_acquire(&joiner->job) == CRFS_JOB_NONE &&
	       !smp_load_acquire(&joiner->task->on_cpu);
}

/* The first that has not settled, or null. */
static struct crfs_joiner *crfs_first_loose(struct crfs_restart *restart, int *settled)
{
	struct crfs_joiner *joiner;

	list_for_each_entry(joiner, &restart->joiners, node) {
		*settled = crfs_has_settled(joiner);
		if (*settled != 1)
			return joiner;
	}
	return NULL;
}

static int crfs_settle_joiners(struct crfs_restart *restart, unsigned long deadline,
			       struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	int settled;
	long err;

	while ((joiner = crfs_first_loose(restart, &settled))) {
		fault->type = CRFS_TAG_thread;
		fault->id = joiner->id;
		if (settled < 0)
			return settled;
		if (READ_ONCE(restart->ending))
			return -ENODEV;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		/* Zombies, and threads that leave their cpu, do not tell. */
		err = wait_event_interruptible_timeout(restart->settle,
						       crfs_has_settled(joiner) ||
						       READ_ONCE(restart->ending), 1);
		if (err < 0)
			return err;
	}
	memset(fault, 0, sizeof(*fault));
	return 0;
}

/**
 * crfs_do_job - have all parked threads do something, and wait until they have
 * @restart: gathered; its lock is held
 * @job: what
 * @deadline: in jiffies
 * @fault: the object at fault
 *
 * Return: 0; the first error of a builder; -ESRCH if a thread died; -ETIMEDOUT; -ENODEV: the
 * holder closes it; -ERESTARTSYS: a signal came, and the same again goes on with waiting.
 */
int crfs_do_job(struct crfs_restart *restart, enum crfs_job job, unsigned long deadline,
		struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	int err;

	lockdep_assert_held(&restart->lock);
	if (!restart->underway) {
		list_for_each_entry(joiner, &restart->joiners, node) {
			if (!joiner->zombie)
				atomic_set_release(&joiner->job, job);
		}
		wake_up_all(&restart->resume);
		restart->underway = true;
	}
	err = crfs_settle_joiners(restart, deadline, fault);
	if (err)
		return err;
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (joiner->space && joiner->space->result) {
			*fault = joiner->space->fault;
			return joiner->space->result;
		}
	}
	return 0;
}

static int crfs_call_all(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	int err;

	*fault = restart->fault;
	if (fault->type)
		return -EBADMSG;
	err = crfs_check_references(restart, fault);
	if (err)
		return err;
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (same_thread_group(joiner->task, current))
			return -EDEADLK;
	}
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (!joiner->zombie)
			crfs_call(joiner);
	}
	return 0;
}

/**
 * crfs_gather - park all that have joined, and see that they are what the records say
 * @restart: open; its lock is held
 * @deadline: in jiffies
 * @fault: the object at fault
 *
 * Return: 0, or an error as listed in include/crfs/ioctl.h; -ERESTARTSYS as crfs_do_job().
 */
int crfs_gather(struct crfs_restart *restart, unsigned long deadline, struct crfs_fault *fault)
{
	int err;

	lockdep_assert_held(&restart->lock);
	if (!restart->underway) {
		err = crfs_call_all(restart, fault);
		if (err)
			return err;
		restart->underway = true;
	}
	err = crfs_settle_joiners(restart, deadline, fault);
	return err ?: crfs_check_joiners(restart, fault);
}

/*
 * Kills all that have joined, whatever they do, but for what execve(2) made of them since:
 * that may be what its caller could not kill. One that is just about to become another
 * program dies before the first instruction of that.
 */
void crfs_restart_kill(struct crfs_restart *restart)
{
	struct crfs_joiner *joiner;

	lockdep_assert_held(&restart->lock);
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (crfs_is_same_program(joiner))
			send_sig(SIGKILL, joiner->task, 1);
		atomic_set_release(&joiner->state, CRFS_JOINER_OVER);
	}
	wake_up_all(&restart->resume);
}

/* Forgets them: those whose work is still queued or runs keep themselves. */
void crfs_joiners_drop(struct crfs_restart *restart)
{
	struct crfs_joiner *joiner, *next;

	lockdep_assert_held(&restart->lock);
	list_for_each_entry_safe(joiner, next, &restart->joiners, node) {
		list_del(&joiner->node);
		crfs_joiner_put(joiner);
	}
}
