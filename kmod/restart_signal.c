// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals: handlers, what is blocked, what is pending, the timer that sends one.
 *
 * What came for the makers of the tasks is thrown away by each thread itself, while all is
 * blocked; then the saved ones are queued, as the kernel queues them, and look as they did.
 */
#include <linux/hrtimer.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "objects.h"
#include "restart.h"

/* What follows si_signo, si_errno, si_code and padding. */
#define CRFS_SIGINFO_FIELDS 16

/*
 * In the thread's own context. A SIGKILL stays: it is meant for whoever this is. The queue may
 * be long, and its owner may go on filling it: one at a time, with interrupts in between.
 */
void crfs_flush_own_signals(void)
{
	kernel_siginfo_t info;
	sigset_t keep;
	int taken;

	siginitset(&keep, sigmask(SIGKILL));
	do {
		spin_lock_irq(&current->sighand->siglock);
		sigfillset(&current->blocked);
		sigdelsetmask(&current->blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
		taken = crfs_dequeue_signal(&keep, &info);
		spin_unlock_irq(&current->sighand->siglock);
		cond_resched();
	} while (taken && !fatal_signal_pending(current));
	spin_lock_irq(&current->sighand->siglock);
	/* Set by a stop signal that was taken: there is no stop to follow. */
	current->jobctl &= ~JOBCTL_STOP_DEQUEUED;
	recalc_sigpending();
	spin_unlock_irq(&current->sighand->siglock);
}

/* A pending signal of a record of either type. */
struct crfs_pending {
	s32 signo;
	s32 code;
	s32 error;
	u32 queued;
	const void *fields;
	u32 length;
};

/*
 * Queues one as the thread's own, as the kernel would. It takes the sender's namespaces for
 * those of this caller, so @info, which is filled with what the record says, is put in later.
 */
static int crfs_queue(struct task_struct *task, const struct crfs_pending *signal,
		      kernel_siginfo_t *info)
{
	kernel_siginfo_t sent;

	clear_siginfo(info);
	info->si_signo = signal->signo;
	info->si_code = signal->code;
	info->si_errno = signal->error;
	memcpy((u8 *)info + CRFS_SIGINFO_FIELDS, signal->fields, signal->length);
	copy_siginfo(&sent, info);
	return send_sig_info(signal->signo, &sent, task);
}

/* The last signal of its number has left a queue, unless one came from outside. */
static void crfs_drop_bit(struct sigpending *pending, int signo)
{
	struct sigqueue *queued;

	list_for_each_entry(queued, &pending->list, list) {
		if (queued->info.si_signo == signo)
			return;
	}
	sigdelset(&pending->signal, signo);
}

/*
 * A second one of a classic signal: no caller of the kernel's could queue it, and for most of
 * them the kernel does not look at the limit.
 */
static bool crfs_is_too_many(struct task_struct *task, const struct sigqueue *queued,
			     struct sigpending *group)
{
	return queued->info.si_signo < SIGRTMIN &&
	       sigismember(&group->signal, queued->info.si_signo) &&
	       get_rlimit_value(queued->ucounts, UCOUNT_RLIMIT_SIGPENDING) >
		       task_rlimit(task, RLIMIT_SIGPENDING);
}

/* The newest of the thread's own: its siginfo is put right, and it goes where it belongs. */
static int crfs_settle_queued(struct task_struct *task, const kernel_siginfo_t *info, bool shared)
{
	struct sigpending *group;
	struct sigqueue *queued;
	struct sighand_struct *sighand;
	unsigned long flags;
	int err = 0;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -ESRCH;
	group = &task->signal->shared_pending;
	queued = list_empty(&task->pending.list)
			 ? NULL : list_last_entry(&task->pending.list, struct sigqueue, list);
	/* Without memory for it the kernel sets the bit alone. */
	if (!queued || queued->info.si_signo != info->si_signo ||
	    (shared && crfs_is_too_many(task, queued, group))) {
		err = -EAGAIN;
	} else {
		copy_siginfo(&queued->info, info);
		if (shared) {
			list_move_tail(&queued->list, &group->list);
			sigaddset(&group->signal, info->si_signo);
			crfs_drop_bit(&task->pending, info->si_signo);
		}
	}
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return err;
}

static int crfs_set_bit(struct task_struct *task, int signo, bool shared)
{
	struct sighand_struct *sighand;
	unsigned long flags;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -ESRCH;
	sigaddset(shared ? &task->signal->shared_pending.signal : &task->pending.signal, signo);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return 0;
}

static int crfs_add_pending(struct task_struct *task, const struct crfs_pending *signal,
			    bool shared)
{
	kernel_siginfo_t info;
	int err;

	if (!signal->queued)
		return crfs_set_bit(task, signal->signo, shared);
	err = crfs_queue(task, signal, &info);
	return err ?: crfs_settle_queued(task, &info, shared);
}

#define CRFS_PENDING_OF(entry, record)                                                        \
	{                                                                                     \
		.signo = (record)->signo, .code = (record)->code, .error = (record)->errno_,  \
		.queued = (record)->queued,                                                   \
		.fields = crfs_entry_bytes(entry, (record)->fields),                          \
		.length = (record)->fields.length,                                            \
	}

static int crfs_queue_shared(struct crfs_restart *restart, const struct crfs_entry *entry)
{
	const struct crfs_signal *record = entry->wire;
	const struct crfs_pending signal = CRFS_PENDING_OF(entry, record);
	const struct crfs_joiner *joiner =
		crfs_find_entry(&restart->records, CRFS_TAG_task, record->task)->attached;

	return joiner->zombie ? 0 : crfs_add_pending(joiner->task, &signal, true);
}

static int crfs_queue_private(struct crfs_restart *restart, const struct crfs_entry *entry)
{
	const struct crfs_thread_signal *record = entry->wire;
	const struct crfs_pending signal = CRFS_PENDING_OF(entry, record);
	const struct crfs_joiner *joiner =
		crfs_find_entry(&restart->records, CRFS_TAG_thread, record->thread)->attached;

	return joiner->zombie ? 0 : crfs_add_pending(joiner->task, &signal, false);
}

/**
 * crfs_queue_signals - queue the pending signals of all records
 * @restart: all its threads are held, and have thrown away what was pending
 * @fault: the record at fault
 *
 * The signals of a group pass through the queue of one of its threads, so they come first.
 *
 * Return: 0; -EAGAIN: over RLIMIT_SIGPENDING, or no memory; -ESRCH.
 */
int crfs_queue_signals(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_entries *shared = crfs_entries_of(&restart->records, CRFS_TAG_signal);
	struct crfs_entries *private = crfs_entries_of(&restart->records, CRFS_TAG_thread_signal);
	int err = 0;
	u64 i;

	for (i = 0; !err && i < shared->count; i++) {
		fault->type = CRFS_TAG_signal;
		fault->id = shared->entries[i].id;
		err = crfs_queue_shared(restart, &shared->entries[i]);
	}
	for (i = 0; !err && i < private->count; i++) {
		fault->type = CRFS_TAG_thread_signal;
		fault->id = private->entries[i].id;
		err = crfs_queue_private(restart, &private->entries[i]);
	}
	if (!err)
		memset(fault, 0, sizeof(*fault));
	return err;
}

/* While tasks are being stopped, their parents, which stand too, are told nothing. */
void crfs_hush_parents(struct crfs_restart *restart)
{
	struct crfs_entries *all = crfs_entries_of(&restart->records, CRFS_TAG_sighand);
	struct sighand_struct *sighand;
	unsigned long flags;
	u64 i;

	for (i = 0; i < all->count; i++) {
		struct crfs_joiner *joiner = all->entries[i].attached;

		sighand = joiner ? crfs_lock_sighand(joiner->task, &flags) : NULL;
		if (!sighand)
			continue;
		sighand->action[SIGCHLD - 1].sa.sa_flags |= SA_NOCLDSTOP;
		spin_unlock_irqrestore(&sighand->siglock, flags);
	}
}

/* Signals that have no record have their default action. */
static void crfs_clear_actions(struct sighand_struct *sighand)
{
	int signal;

	for (signal = 0; signal < _NSIG; signal++)
		memset(&sighand->action[signal], 0, sizeof(sighand->action[signal]));
}

static void crfs_set_action(struct sighand_struct *sighand, const struct crfs_sigaction *record)
{
	struct sigaction *action = &sighand->action[record->signal - 1].sa;

	action->sa_handler = (__sighandler_t)record->handler;
	action->sa_flags = record->flags;
	action->sa_restorer = (__sigrestore_t)record->restorer;
	action->sa_mask.sig[0] = record->mask;
	sigdelsetmask(&action->sa_mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
}

/* Sets all tables of handlers. Those of tasks that were killed meanwhile do not matter. */
void crfs_set_sighands(struct crfs_restart *restart)
{
	struct crfs_entries *tables = crfs_entries_of(&restart->records, CRFS_TAG_sighand);
	struct crfs_entries *actions = crfs_entries_of(&restart->records, CRFS_TAG_sigaction);
	struct sighand_struct *sighand;
	unsigned long flags;
	u64 i;

	for (i = 0; i < tables->count; i++) {
		struct crfs_joiner *joiner = tables->entries[i].attached;

		sighand = joiner ? crfs_lock_sighand(joiner->task, &flags) : NULL;
		if (!sighand)
			continue;
		crfs_clear_actions(sighand);
		spin_unlock_irqrestore(&sighand->siglock, flags);
	}
	for (i = 0; i < actions->count; i++) {
		const struct crfs_sigaction *record = actions->entries[i].wire;
		struct crfs_joiner *joiner =
			crfs_find_entry(&restart->records, CRFS_TAG_sighand,
					record->sighand)->attached;

		sighand = joiner ? crfs_lock_sighand(joiner->task, &flags) : NULL;
		if (!sighand)
			continue;
		crfs_set_action(sighand, record);
		spin_unlock_irqrestore(&sighand->siglock, flags);
	}
}

/* The thread stands, or is stopped: it looks at what is pending when it goes. */
void crfs_set_mask(struct crfs_joiner *joiner)
{
	struct task_struct *task = joiner->task;
	struct sighand_struct *sighand;
	unsigned long flags;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return;
	task->blocked.sig[0] = crfs_thread_of(joiner)->sigmask;
	sigdelsetmask(&task->blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
	spin_unlock_irqrestore(&sighand->siglock, flags);
}

/* The real timer of a task, as setitimer(2) sets it; its time counts from now. */
void crfs_set_itimer(struct crfs_joiner *joiner)
{
	const struct crfs_task *record = crfs_task_of(joiner);
	struct signal_struct *signal = joiner->task->signal;
	struct sighand_struct *sighand;
	unsigned long flags;

	hrtimer_cancel(&signal->real_timer);
	sighand = crfs_lock_sighand(joiner->task, &flags);
	if (!sighand)
		return;
	signal->it_real_incr = record->itimer_real_value
				       ? ns_to_ktime(record->itimer_real_interval) : 0;
	if (record->itimer_real_value)
		hrtimer_start(&signal->real_timer, ns_to_ktime(record->itimer_real_value),
			      HRTIMER_MODE_REL);
	spin_unlock_irqrestore(&sighand->siglock, flags);
}
