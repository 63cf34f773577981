// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first pass of a capture: who refers to what. Ids are given in the order of first
 * encounter, task by task.
 */
#include <linux/cred.h>
#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "session.h"

/* Those that are not the default. */
static int crfs_collect_actions(struct crfs_objects *objects, struct sigaction *actions,
				u64 sighand)
{
	struct crfs_sigaction_source *entry;
	int signal;

	for (signal = 1; signal <= _NSIG; signal++) {
		struct sigaction *action = &actions[signal - 1];

		if (action->sa_handler == SIG_DFL && !action->sa_flags &&
		    sigisemptyset(&action->sa_mask))
			continue;
		entry = crfs_table_add(&objects->sigaction);
		if (!entry)
			return -ENOMEM;
		entry->sighand = sighand;
		entry->signal = signal;
		entry->action = *action;
	}
	return 0;
}

static int crfs_collect_sighand(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	struct sighand_struct *sighand;
	struct crfs_key key = {};
	struct sigaction *actions;
	unsigned long flags;
	int signal, err = 0;

	actions = kmalloc_array(_NSIG, sizeof(*actions), GFP_KERNEL_ACCOUNT);
	if (!actions)
		return -ENOMEM;
	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand) {
		kfree(actions);
		return -ESRCH;
	}
	key.first = sighand;
	for (signal = 1; signal <= _NSIG; signal++)
		actions[signal - 1] = sighand->action[signal - 1].sa;
	spin_unlock_irqrestore(&sighand->siglock, flags);

	*id = crfs_table_find(&objects->sighand, key);
	if (!*id) {
		if (crfs_table_add_key(&objects->sighand, key)) {
			*id = objects->sighand.count;
			err = crfs_collect_actions(objects, actions, *id);
		} else {
			err = -ENOMEM;
		}
	}
	kfree(actions);
	return err;
}

static int crfs_collect_cred(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	const struct cred *cred = get_task_cred(task);
	struct crfs_key key = { cred };
	struct crfs_cred_source *entry;

	*id = crfs_table_find(&objects->cred, key);
	if (*id) {
		put_cred(cred);
		return 0;
	}
	entry = crfs_table_add_key(&objects->cred, key);
	if (!entry) {
		put_cred(cred);
		return -ENOMEM;
	}
	entry->cred = cred;
	*id = objects->cred.count;
	return 0;
}

static int crfs_collect_thread(struct crfs_objects *objects, struct crfs_member *thread,
			       u64 task_id)
{
	struct crfs_thread_source *entry;
	u64 cred, id;
	int err;

	err = crfs_collect_cred(objects, thread->task, &cred);
	if (err)
		return err;
	entry = crfs_table_add(&objects->thread);
	if (!entry)
		return -ENOMEM;
	id = objects->thread.count;
	entry->thread = thread;
	entry->task = task_id;
	entry->cred = cred;
	/* None is delivered to the dead. */
	if (READ_ONCE(thread->task->exit_state))
		return 0;
	return crfs_collect_signals(objects, &objects->thread_signal, thread->task, false, id);
}

static int crfs_compare_tids(void *unused, const struct list_head *a, const struct list_head *b)
{
	u32 left = list_entry(a, struct crfs_member, node)->tid;
	u32 right = list_entry(b, struct crfs_member, node)->tid;

	return left < right ? -1 : left > right;
}

/* The thread that stands for what all of a group share: the leader, or any that
 * still lives. */
static struct task_struct *crfs_representative(struct crfs_group *task)
{
	struct crfs_member *thread;

	if (!READ_ONCE(task->leader->exit_state))
		return task->leader;
	list_for_each_entry(thread, &task->threads, node) {
		if (!READ_ONCE(thread->task->exit_state))
			return thread->task;
	}
	return NULL;
}

static int crfs_collect_task(struct crfs_objects *objects, struct crfs_group *task)
{
	struct task_struct *lives = crfs_representative(task);
	struct crfs_task_source entry = { .task = task };
	struct crfs_member *thread;
	void *room;
	u64 id;
	int err = 0;

	if (task->mm) {
		if (!lives)
			return -ESRCH;
		err = crfs_collect_mm(objects, task->mm, &entry.mm);
		if (!err)
			err = crfs_collect_files(objects, lives, &entry.fd);
		if (!err)
			err = crfs_collect_fs(objects, lives, &entry.fs);
		if (!err)
			err = crfs_collect_sighand(objects, lives, &entry.sighand);
		if (err)
			return err;
	}
	room = crfs_table_add(&objects->task);
	if (!room)
		return -ENOMEM;
	memcpy(room, &entry, sizeof(entry));
	id = objects->task.count;
	if (lives)
		err = crfs_collect_signals(objects, &objects->signal, lives, true, id);
	if (err)
		return err;

	list_for_each_entry(thread, &task->threads, node)
		thread->tid = task_pid_nr_ns(thread->task, task_active_pid_ns(current));
	list_sort(NULL, &task->threads, crfs_compare_tids);
	list_for_each_entry(thread, &task->threads, node) {
		err = crfs_collect_thread(objects, thread, id);
		if (err)
			return err;
	}
	return 0;
}

int crfs_collect(struct crfs_session *session, struct crfs_group **fault)
{
	struct crfs_group *task;
	int err;

	lockdep_assert_held(&session->lock);
	list_for_each_entry(task, &session->tasks, node) {
		err = crfs_collect_task(&session->objects, task);
		if (err) {
			*fault = task;
			return err;
		}
	}
	return 0;
}
