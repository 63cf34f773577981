// SPDX-License-Identifier: GPL-2.0-only
/*
 * A frozen thread group and its threads: their lives, and where each stands.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "session.h"

#define CRFS_STAND_TIMEOUT_MS 10000

static DEFINE_MUTEX(crfs_claims_lock);
static LIST_HEAD(crfs_claims);

static void crfs_task_free(struct kref *ref)
{
	struct crfs_group *task = container_of(ref, struct crfs_group, ref);

	put_pid(task->pid);
	kfree(task);
}

void crfs_task_put(struct crfs_group *task)
{
	kref_put(&task->ref, crfs_task_free);
}

static void crfs_thread_free(struct kref *ref)
{
	struct crfs_member *thread = container_of(ref, struct crfs_member, ref);

	put_task_struct(thread->task);
	crfs_task_put(thread->owner);
	kfree(thread);
}

void crfs_thread_put(struct crfs_member *thread)
{
	kref_put(&thread->ref, crfs_thread_free);
}

/* One checkpoint at a time: a task that another one has frozen is busy. */
static int crfs_claim(struct crfs_group *task)
{
	struct crfs_group *other;
	int err = 0;

	mutex_lock(&crfs_claims_lock);
	list_for_each_entry(other, &crfs_claims, claim) {
		if (other->pid == task->pid)
			err = other->session == task->session ? -EALREADY : -EBUSY;
	}
	if (!err)
		list_add(&task->claim, &crfs_claims);
	mutex_unlock(&crfs_claims_lock);
	return err;
}

/* Takes over the references to @leader and @mm, also when it fails. */
struct crfs_group *crfs_task_create(struct crfs_session *session,
					  struct task_struct *leader, struct mm_struct *mm)
{
	struct crfs_group *task = kzalloc(sizeof(*task), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!task)
		goto put;
	kref_init(&task->ref);
	INIT_LIST_HEAD(&task->node);
	INIT_LIST_HEAD(&task->threads);
	hash_init(task->known);
	init_waitqueue_head(&task->settle);
	init_waitqueue_head(&task->thaw);
	task->session = session;
	task->pid = get_pid(task_tgid(leader));
	task->leader = leader;
	task->mm = mm;
	err = crfs_claim(task);
	if (!err)
		return task;
	crfs_task_put(task);
put:
	if (mm)
		mmput(mm);
	put_task_struct(leader);
	return ERR_PTR(err);
}

/**
 * crfs_task_release - let a task's threads go on and give up everything but the struct
 * @task: no longer in its session's list; the reference to it is given up too
 */
void crfs_task_release(struct crfs_group *task)
{
	struct crfs_member *thread, *next;

	WRITE_ONCE(task->released, true);
	wake_up_all(&task->thaw);
	list_for_each_entry_safe(thread, next, &task->threads, node) {
		crfs_park_disarm(thread);
		list_del(&thread->node);
		crfs_thread_put(thread);
	}
	mutex_lock(&crfs_claims_lock);
	list_del(&task->claim);
	task->session = NULL;
	mutex_unlock(&crfs_claims_lock);
	if (task->mm)
		mmput(task->mm);
	task->mm = NULL;
	put_task_struct(task->leader);
	task->leader = NULL;
	crfs_task_put(task);
}

static bool crfs_is_known(struct crfs_group *task, struct task_struct *tsk)
{
	struct crfs_member *thread;

	hash_for_each_possible(task->known, thread, known, (unsigned long)tsk) {
		if (thread->task == tsk)
			return true;
	}
	return false;
}

/* Takes over the reference to @tsk, also when it fails. */
static int crfs_add_thread(struct crfs_group *task, struct task_struct *tsk)
{
	struct crfs_member *thread = kzalloc(sizeof(*thread), GFP_KERNEL_ACCOUNT);
	int err;

	if (!thread) {
		put_task_struct(tsk);
		return -ENOMEM;
	}
	kref_init(&thread->ref);
	kref_get(&task->ref);
	thread->owner = task;
	thread->task = tsk;
	list_add_tail(&thread->node, &task->threads);
	hash_add(task->known, &thread->known, (unsigned long)tsk);
	err = crfs_park_arm(thread);
	return err == -ESRCH ? 0 : err;
}

/*
 * Finds the threads that are not known yet and arms them. Returns how many, or an error.
 * A thread that has died is of interest only if it is the leader, which then remains.
 */
int crfs_add_threads(struct crfs_group *task)
{
	unsigned int limit = READ_ONCE(task->leader->signal->nr_threads) + 16;
	struct task_struct **found, *tsk;
	unsigned int count = 0, i;
	int err = 0;

	found = kvmalloc_array(limit, sizeof(*found), GFP_KERNEL_ACCOUNT);
	if (!found)
		return -ENOMEM;
	rcu_read_lock();
	__for_each_thread(task->leader->signal, tsk) {
		if (crfs_is_known(task, tsk) || (tsk->exit_state && !thread_group_leader(tsk)))
			continue;
		if (count == limit)
			break;
		found[count++] = get_task_struct(tsk);
	}
	rcu_read_unlock();
	for (i = 0; i < count; i++) {
		if (err)
			put_task_struct(found[i]);
		else
			err = crfs_add_thread(task, found[i]);
	}
	kvfree(found);
	return err ?: count;
}

/* Where a thread stands now. Parked and dead do not change before the thaw, but by SIGKILL. */
enum crfs_standing crfs_thread_standing(struct crfs_member *thread)
{
	struct task_struct *task = thread->task;
	enum crfs_member_state state = smp_load_acquire(&thread->state);

	if (READ_ONCE(task->exit_state))
		return CRFS_STANDS_DEAD;
	if (state == CRFS_THREAD_GONE || smp_load_acquire(&task->on_cpu))
		return CRFS_STANDS_NOT;
	if (state == CRFS_THREAD_PARKED)
		return CRFS_STANDS_PARKED;
	return task_is_stopped_or_traced(task) ? CRFS_STANDS_STOPPED : CRFS_STANDS_NOT;
}

/* Waits until a thread of a frozen task stands again: a stopped one may be parking. */
int crfs_thread_settle(struct crfs_member *thread)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CRFS_STAND_TIMEOUT_MS);

	while (crfs_thread_standing(thread) == CRFS_STANDS_NOT) {
		if (smp_load_acquire(&thread->state) == CRFS_THREAD_GONE)
			return -ESRCH;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		if (fatal_signal_pending(current))
			return -EINTR;
		usleep_range(20, 200);
	}
	return 0;
}
