// SPDX-License-Identifier: GPL-2.0-only
/*
 * START: every thread gets its state, and then all go.
 *
 * Up to a point everything may fail, and then all die. Beyond it nothing can: who was
 * killed meanwhile dies when it goes, as it would have a moment later.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "objects.h"
#include "restart.h"

#define CRFS_STOP_TIMEOUT_MS 10000

#define crfs_for_each_live(restart, joiner)                                                   \
	list_for_each_entry(joiner, &(restart)->joiners, node)                                \
		if (!(joiner)->zombie)

static bool crfs_is_stopped(const struct crfs_joiner *joiner)
{
	return crfs_task_of(joiner)->state == CRFS_state_stopped;
}

/* From here on they stay where they are, even when they are killed. */
static int crfs_hold(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;

	crfs_for_each_live(restart, joiner) {
		if (atomic_cmpxchg(&joiner->state, CRFS_JOINER_PARKED, CRFS_JOINER_HELD) !=
		    CRFS_JOINER_PARKED) {
			fault->type = CRFS_TAG_thread;
			fault->id = joiner->id;
			return -ESRCH;
		}
	}
	crfs_for_each_live(restart, joiner) {
		while (smp_load_acquire(&joiner->task->on_cpu))
			usleep_range(10, 50);
	}
	return 0;
}

static int crfs_set_threads(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	int err;

	crfs_for_each_live(restart, joiner) {
		err = crfs_set_thread(joiner);
		if (err) {
			fault->type = CRFS_TAG_thread;
			fault->id = joiner->id;
			return err;
		}
		cond_resched();
	}
	return 0;
}

static bool crfs_has_joined(struct crfs_restart *restart, const struct task_struct *group)
{
	struct crfs_joiner *joiner;

	crfs_for_each_live(restart, joiner) {
		if (joiner->task->signal == group->signal)
			return true;
	}
	return false;
}

/*
 * The signal of a task's end goes to its parent whoever that is, so only clone(2) by the parent
 * can choose it. Here those can that are held, and the holder himself. SIGCHLD is for all.
 */
static bool crfs_may_signal_exit(struct crfs_restart *restart, struct crfs_joiner *joiner)
{
	int signo = crfs_task_of(joiner)->exit_signal;
	struct task_struct *task = joiner->task, *parent;
	bool may;

	if (!thread_group_leader(task) || signo == SIGCHLD || signo == task->exit_signal)
		return true;
	rcu_read_lock();
	parent = rcu_dereference(task->real_parent);
	may = same_thread_group(parent, current) || crfs_has_joined(restart, parent);
	rcu_read_unlock();
	return may;
}

static int crfs_check_exit_signals(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;

	list_for_each_entry(joiner, &restart->joiners, node) {
		if (!crfs_may_signal_exit(restart, joiner)) {
			fault->type = CRFS_TAG_task;
			fault->id = joiner->task_id;
			return -EPERM;
		}
		cond_resched();
	}
	return 0;
}

/* What wait(2) will say of a zombie, and to whom its end is told. */
static void crfs_set_exit(struct crfs_joiner *joiner)
{
	const struct crfs_thread *thread = crfs_thread_of(joiner);
	const struct crfs_task *task = crfs_task_of(joiner);
	struct task_struct *tsk = joiner->task;

	if (joiner->zombie) {
		tsk->exit_code = thread->exit_code;
		if (task->state == CRFS_state_zombie) {
			tsk->exit_code = task->exit_code;
			tsk->signal->group_exit_code = task->exit_code;
		}
	}
	if (thread_group_leader(tsk))
		tsk->exit_signal = task->exit_signal;
}

static void crfs_release(struct crfs_restart *restart, bool stopped)
{
	struct crfs_joiner *joiner;

	crfs_for_each_live(restart, joiner) {
		if (crfs_is_stopped(joiner) == stopped)
			atomic_set_release(&joiner->state, CRFS_JOINER_STARTED);
	}
	wake_up_all(&restart->resume);
}

static bool crfs_has_stopped(const struct crfs_joiner *joiner)
{
	const struct task_struct *task = joiner->task;

	return READ_ONCE(task->exit_state) || fatal_signal_pending(joiner->task) ||
	       (task_is_stopped_or_traced(joiner->task) && !smp_load_acquire(&task->on_cpu));
}

/* Whether its parent has heard of the stop already. */
static void crfs_set_stop(struct crfs_joiner *joiner)
{
	struct sighand_struct *sighand;
	unsigned long flags;

	sighand = crfs_lock_sighand(joiner->task, &flags);
	if (!sighand)
		return;
	if (joiner->task->signal->flags & SIGNAL_STOP_STOPPED)
		joiner->task->signal->group_exit_code = crfs_task_of(joiner)->exit_code & 0x7f;
	spin_unlock_irqrestore(&sighand->siglock, flags);
}

/*
 * They go with all signals blocked but the one that stops them. Once they are stopped
 * they get their masks, and look at what is pending when they are continued.
 */
static void crfs_start_stopped(struct crfs_restart *restart)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CRFS_STOP_TIMEOUT_MS);
	struct crfs_entries *tasks = crfs_entries_of(&restart->records, CRFS_TAG_task);
	struct crfs_joiner *joiner;
	u64 i;

	crfs_hush_parents(restart);
	for (i = 0; i < tasks->count; i++) {
		joiner = tasks->entries[i].attached;
		if (crfs_is_stopped(joiner))
			send_sig(SIGSTOP, joiner->task, 1);
	}
	crfs_release(restart, true);
	crfs_for_each_live(restart, joiner) {
		if (!crfs_is_stopped(joiner))
			continue;
		while (!crfs_has_stopped(joiner) && time_before(jiffies, deadline))
			usleep_range(50, 500);
		crfs_set_stop(joiner);
		crfs_set_mask(joiner);
	}
}

static void crfs_set_timers(struct crfs_restart *restart)
{
	struct crfs_entries *tasks = crfs_entries_of(&restart->records, CRFS_TAG_task);
	u64 i;

	for (i = 0; i < tasks->count; i++) {
		struct crfs_joiner *joiner = tasks->entries[i].attached;

		if (!joiner->zombie)
			crfs_set_itimer(joiner);
	}
}

/**
 * crfs_start - give every thread its state and let all go
 * @restart: built; its lock is held
 * @deadline: in jiffies, for what is waited for before the first one goes
 * @fault: the object at fault
 *
 * Return: 0, and all go; or an error, and none has gone.
 */
int crfs_start(struct crfs_restart *restart, unsigned long deadline, struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	int err;

	err = crfs_do_job(restart, CRFS_JOB_FLUSH, deadline, fault);
	if (!err)
		err = crfs_hold(restart, fault);
	if (!err)
		err = crfs_check_exit_signals(restart, fault);
	if (!err)
		err = crfs_queue_signals(restart, fault);
	if (!err)
		err = crfs_set_threads(restart, fault);
	if (err)
		return err;

	/* Nothing fails any more. */
	list_for_each_entry(joiner, &restart->joiners, node)
		crfs_set_exit(joiner);
	crfs_start_stopped(restart);
	crfs_set_sighands(restart);
	crfs_set_timers(restart);
	crfs_for_each_live(restart, joiner) {
		if (!crfs_is_stopped(joiner))
			crfs_set_mask(joiner);
	}
	crfs_release(restart, false);
	return 0;
}
