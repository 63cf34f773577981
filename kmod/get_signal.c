// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signal handlers and pending signals.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>

#include "emit.h"

/**
 * crfs_lock_sighand - take the siglock of a task that may be dying
 * @task: with a reference
 * @flags: for spin_unlock_irqrestore
 *
 * Return: the table of handlers, its siglock held; null if the task has none any more.
 */
struct sighand_struct *crfs_lock_sighand(struct task_struct *task, unsigned long *flags)
{
	struct sighand_struct *sighand;

	rcu_read_lock();
	for (;;) {
		sighand = rcu_dereference(task->sighand);
		if (!sighand)
			break;
		/* The memory stays a sighand_struct, but it may serve another task by now. */
		spin_lock_irqsave(&sighand->siglock, *flags);
		if (sighand == rcu_access_pointer(task->sighand))
			break;
		spin_unlock_irqrestore(&sighand->siglock, *flags);
	}
	rcu_read_unlock();
	return sighand;
}

/* A copy of a queue, taken under siglock, where nothing can be allocated. */
struct crfs_signal_copy {
	kernel_siginfo_t *infos;
	unsigned int count;
	unsigned int room;
	sigset_t set;	/* pending, but not in the queue */
};

static void crfs_copy_queue(const struct sigpending *pending, struct crfs_signal_copy *copy)
{
	struct sigqueue *queued;

	copy->count = 0;
	copy->set = pending->signal;
	list_for_each_entry(queued, &pending->list, list) {
		if (copy->count < copy->room)
			copy->infos[copy->count] = queued->info;
		copy->count++;
		sigdelset(&copy->set, queued->info.si_signo);
	}
}

static int crfs_copy_pending(struct task_struct *task, bool shared, struct crfs_signal_copy *copy)
{
	struct sighand_struct *sighand;
	unsigned long flags;

	memset(copy, 0, sizeof(*copy));
	for (;;) {
		sighand = crfs_lock_sighand(task, &flags);
		if (!sighand) {
			copy->count = 0;
			sigemptyset(&copy->set);
			return 0;
		}
		crfs_copy_queue(shared ? &task->signal->shared_pending : &task->pending, copy);
		spin_unlock_irqrestore(&sighand->siglock, flags);
		if (copy->count <= copy->room)
			return 0;
		copy->room = copy->count + 16;
		kvfree(copy->infos);
		copy->infos = kvmalloc_array(copy->room, sizeof(*copy->infos), GFP_KERNEL_ACCOUNT);
		if (!copy->infos)
			return -ENOMEM;
	}
}

/* Both types of sources are laid out alike. */
static_assert(sizeof(struct crfs_signal_source) == sizeof(struct crfs_thread_signal_source));
static_assert(offsetof(struct crfs_signal_source, task) ==
	      offsetof(struct crfs_thread_signal_source, thread));

static int crfs_add_signal(struct crfs_table *table, u64 owner, u64 index,
			   const kernel_siginfo_t *info, u32 signo)
{
	struct crfs_signal_source *entry = crfs_table_add(table);

	if (!entry)
		return -ENOMEM;
	entry->task = owner;
	entry->index = index;
	entry->signo = signo;
	entry->queued = !!info;
	if (info)
		entry->info = *info;
	return 0;
}

/**
 * crfs_collect_signals - the pending signals of a task or of a thread, in queue order
 * @objects: where
 * @table: objects->signal or objects->thread_signal
 * @task: a thread
 * @shared: those of its thread group
 * @owner: the object id of the task or thread
 *
 * Return: 0 or -ENOMEM.
 */
int crfs_collect_signals(struct crfs_objects *objects, struct crfs_table *table,
			 struct task_struct *task, bool shared, u64 owner)
{
	struct crfs_signal_copy copy;
	unsigned int i;
	int signo, err;

	err = crfs_copy_pending(task, shared, &copy);
	for (i = 0; !err && i < copy.count; i++)
		err = crfs_add_signal(table, owner, i, &copy.infos[i], copy.infos[i].si_signo);
	for (signo = 1; !err && signo <= _NSIG; signo++) {
		if (sigismember(&copy.set, signo))
			err = crfs_add_signal(table, owner, i++, NULL, signo);
	}
	kvfree(copy.infos);
	return err;
}

CRFS_GET(sighand, reserved, 0)
CRFS_DEFINE_EMITTER(sighand)

CRFS_GET(sigaction, sighand, from->sighand)
CRFS_GET(sigaction, signal, from->signal)
CRFS_GET(sigaction, handler, (unsigned long)from->action.sa_handler)
CRFS_GET(sigaction, flags, from->action.sa_flags)
CRFS_GET(sigaction, restorer, (unsigned long)from->action.sa_restorer)
CRFS_GET(sigaction, mask, from->action.sa_mask.sig[0])
CRFS_DEFINE_EMITTER(sigaction)

/* What follows si_signo, si_errno, si_code and padding is alike in kernel and user space. */
#define CRFS_SIGINFO_FIELDS 16

static int crfs_append_fields(struct crfs_body_buffer *body, const kernel_siginfo_t *info)
{
	const u8 *bytes = (const u8 *)info;
	size_t length = sizeof(*info);

	while (length > CRFS_SIGINFO_FIELDS && !bytes[length - 1])
		length--;
	return crfs_body_append(body, bytes + CRFS_SIGINFO_FIELDS, length - CRFS_SIGINFO_FIELDS);
}

#define CRFS_SIGNAL_GETTERS(object, owner)		\
	CRFS_GET(object, owner, from->owner)		\
	CRFS_GET(object, index, from->index)		\
	CRFS_GET(object, signo, from->signo)		\
	CRFS_GET(object, code, from->info.si_code)	\
	CRFS_GET(object, errno_, from->info.si_errno)	\
	CRFS_GET(object, queued, from->queued)		\
	CRFS_GET_BYTES(object, fields)			\
	{						\
		return crfs_append_fields(body, &from->info); \
	}						\
	CRFS_DEFINE_EMITTER(object)

CRFS_SIGNAL_GETTERS(signal, task)
CRFS_SIGNAL_GETTERS(thread_signal, thread)
