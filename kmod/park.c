// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where threads stand still: a task work that waits, in the thread's own context, on its
 * way back to user mode.
 *
 * A queued work cannot be taken back. A stopped thread may keep one for hours after its
 * checkpoint is over, so the work (struct crfs_parker) serves whichever checkpoint armed
 * it last, or none: at most one is queued for a thread.
 */
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "session.h"

struct crfs_parker {
	struct callback_head work;
	struct hlist_node node;		/* in crfs_parkers, by task; crfs_parkers_lock */
	struct task_struct *task;	/* no reference: the work runs before its end */
	struct crfs_member *thread;	/* with a reference, or null; crfs_parkers_lock */
};

static DEFINE_SPINLOCK(crfs_parkers_lock);
static DEFINE_HASHTABLE(crfs_parkers, 8);

static struct crfs_parker *crfs_parker_of(struct task_struct *task)
{
	struct crfs_parker *parker;

	lockdep_assert_held(&crfs_parkers_lock);
	hash_for_each_possible(crfs_parkers, parker, node, (unsigned long)task) {
		if (parker->task == task)
			return parker;
	}
	return NULL;
}

/* System calls that return EINTR, having done nothing, whenever something wakes them. */
static bool crfs_restarts_whole(long nr)
{
	switch (nr) {
	case __NR_read:
	case __NR_write:
	case __NR_readv:
	case __NR_writev:
	case __NR_accept:
	case __NR_accept4:
	case __NR_connect:
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
	case __NR_epoll_wait:
	case __NR_epoll_pwait:
	case __NR_epoll_pwait2:
	case __NR_semop:
	case __NR_semtimedop:
	case __NR_rt_sigtimedwait:
	case __NR_io_getevents:
	case __NR_io_pgetevents:
		return true;
	default:
		return false;
	}
}

/*
 * The work's own wake-up made such a call fail: let it begin again, unless a signal
 * handler runs first.
 */
static void crfs_hide_interruption(struct pt_regs *regs)
{
	if (user_mode(regs) && syscall_get_nr(current, regs) >= 0 && regs->ax == -EINTR &&
	    crfs_restarts_whole(syscall_get_nr(current, regs)))
		regs->ax = -ERESTARTNOHAND;
}

static void crfs_park(struct crfs_member *thread)
{
	struct crfs_group *owner = thread->owner;

	if (READ_ONCE(owner->released))
		return;
	smp_store_release(&thread->state, CRFS_THREAD_PARKED);
	if (atomic_dec_and_test(&owner->unsettled))
		wake_up(&owner->settle);
	if (wait_event_state(owner->thaw, READ_ONCE(owner->released), (TASK_KILLABLE | TASK_FREEZABLE)))
		smp_store_release(&thread->state, CRFS_THREAD_GONE);
}

static void crfs_park_work(struct callback_head *work)
{
	struct crfs_parker *parker = container_of(work, struct crfs_parker, work);
	struct crfs_member *thread;

	spin_lock(&crfs_parkers_lock);
	hash_del(&parker->node);
	thread = parker->thread;
	spin_unlock(&crfs_parkers_lock);
	kfree(parker);

	if (!(current->flags & PF_EXITING)) {
		crfs_hide_interruption(current_pt_regs());
		if (thread)
			crfs_park(thread);
	} else if (thread) {
		smp_store_release(&thread->state, CRFS_THREAD_GONE);
		if (atomic_dec_and_test(&thread->owner->unsettled))
			wake_up(&thread->owner->settle);
	}
	if (thread)
		crfs_thread_put(thread);
	/* The few instructions that follow are covered by crfs_park_exit(). */
	module_put(THIS_MODULE);
}

/**
 * crfs_park_arm - have a thread park as soon as it can
 * @thread: newly made; a reference is taken for the parker
 *
 * Return: 0, -ESRCH if it is too late: the thread exits, -ENOMEM.
 */
int crfs_park_arm(struct crfs_member *thread)
{
	struct crfs_parker *parker = kmalloc(sizeof(*parker), GFP_KERNEL_ACCOUNT);
	struct crfs_parker *queued;

	if (!parker)
		return -ENOMEM;
	parker->task = thread->task;
	parker->thread = thread;
	init_task_work(&parker->work, crfs_park_work);
	kref_get(&thread->ref);
	atomic_inc(&thread->owner->unsettled);

	spin_lock(&crfs_parkers_lock);
	queued = crfs_parker_of(thread->task);
	if (queued) {
		/* The claim on its task sees to it that it serves nobody else. */
		WARN_ON_ONCE(queued->thread);
		queued->thread = thread;
	} else {
		hash_add(crfs_parkers, &parker->node, (unsigned long)thread->task);
	}
	spin_unlock(&crfs_parkers_lock);
	if (queued) {
		kfree(parker);
		return 0;
	}

	__module_get(THIS_MODULE);
	if (!task_work_add(thread->task, &parker->work, TWA_SIGNAL))
		return 0;

	module_put(THIS_MODULE);
	spin_lock(&crfs_parkers_lock);
	hash_del(&parker->node);
	spin_unlock(&crfs_parkers_lock);
	kfree(parker);
	smp_store_release(&thread->state, CRFS_THREAD_GONE);
	atomic_dec(&thread->owner->unsettled);
	crfs_thread_put(thread);
	return -ESRCH;
}

/* The thread's work, if it is still queued, will do nothing when it runs. */
void crfs_park_disarm(struct crfs_member *thread)
{
	struct crfs_parker *parker;
	bool served = false;

	spin_lock(&crfs_parkers_lock);
	parker = crfs_parker_of(thread->task);
	if (parker && parker->thread == thread) {
		parker->thread = NULL;
		served = true;
	}
	spin_unlock(&crfs_parkers_lock);
	if (served)
		crfs_thread_put(thread);
}

/*
 * Nobody refers to the module, but a thread may still be between the end of its work and
 * the return from it. All have left once each has been in user mode or slept.
 */
void crfs_park_exit(void)
{
	synchronize_rcu_tasks();
}
