// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does all that was written and supplied fit together, and have those threads joined that
 * the records tell of? Nothing has been changed yet when this is known.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/xarray.h>
#include <asm/segment.h>

#include "compat.h"
#include "restart.h"
#include "session.h"

static int crfs_blame(struct crfs_fault *fault, u32 type, u64 id, u64 detail, int err)
{
	fault->type = type;
	fault->id = id;
	fault->detail = detail;
	return err;
}

/* Calls @check for each record of a type; its error is that record's fault. */
#define CRFS_CHECK_EACH(restart, name, check, fault)                                          \
	({                                                                                    \
		struct crfs_entries *all_ = crfs_entries_of(&(restart)->records, CRFS_TAG_##name); \
		int err_ = 0;                                                                 \
		u64 i_;                                                                       \
											      \
		for (i_ = 0; !err_ && i_ < all_->count; i_++) {                               \
			err_ = check(restart, &all_->entries[i_]);                            \
			if (err_)                                                             \
				crfs_blame(fault, CRFS_TAG_##name, all_->entries[i_].id, 0, err_); \
			cond_resched();                                                       \
		}                                                                             \
		err_;                                                                         \
	})

static int crfs_check_owner(struct crfs_restart *restart, u32 type, u64 id)
{
	return crfs_find_entry(&restart->records, type, id) ? 0 : -EBADMSG;
}

static int crfs_check_space(struct crfs_restart *restart, struct crfs_entry *entry)
{
	struct crfs_space *space = crfs_space_of(restart, entry->id);

	if (IS_ERR(space))
		return PTR_ERR(space);
	space->record = entry;
	space->vma_count = 0;
	return 0;
}

/* Counts the mappings of each space. */
static int crfs_check_vma(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_vma *vma = entry->wire;
	struct crfs_entry *mm = crfs_find_entry(&restart->records, CRFS_TAG_mm, vma->mm);

	if (!mm)
		return -EBADMSG;
	((struct crfs_space *)mm->attached)->vma_count++;
	if ((vma->file || vma->shmem) && !crfs_file_of(restart, vma))
		return -ENOENT;
	return 0;
}

static int crfs_check_action(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_sigaction *action = entry->wire;

	return crfs_check_owner(restart, CRFS_TAG_sighand, action->sighand);
}

static int crfs_check_task(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_task *task = entry->wire;

	if (task->state == CRFS_state_zombie)
		return 0;
	return crfs_check_owner(restart, CRFS_TAG_mm, task->mm) ?:
	       crfs_check_owner(restart, CRFS_TAG_sighand, task->sighand);
}

static int crfs_check_signal(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_signal *signal = entry->wire;

	return crfs_check_owner(restart, CRFS_TAG_task, signal->task);
}

static int crfs_check_thread_signal(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_thread_signal *signal = entry->wire;

	return crfs_check_owner(restart, CRFS_TAG_thread, signal->thread);
}

static int crfs_check_thread(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_thread *thread = entry->wire;

	return crfs_check_owner(restart, CRFS_TAG_task, thread->task) ?:
	       (entry->attached ? 0 : -ESRCH);
}

static int crfs_compare_vmas(const void *left, const void *right)
{
	const struct crfs_vma *a = (*(const struct crfs_entry *const *)left)->wire;
	const struct crfs_vma *b = (*(const struct crfs_entry *const *)right)->wire;

	return a->start < b->start ? -1 : a->start > b->start;
}

static int crfs_list_vmas(struct crfs_restart *restart)
{
	struct crfs_entries *mms = crfs_entries_of(&restart->records, CRFS_TAG_mm);
	struct crfs_entries *vmas = crfs_entries_of(&restart->records, CRFS_TAG_vma);
	struct crfs_space *space;
	u64 i;

	for (i = 0; i < mms->count; i++) {
		space = mms->entries[i].attached;
		space->vmas = kvmalloc_array(space->vma_count + 1, sizeof(*space->vmas),
					     GFP_KERNEL_ACCOUNT);
		if (!space->vmas)
			return -ENOMEM;
		space->vma_count = 0;
	}
	for (i = 0; i < vmas->count; i++) {
		const struct crfs_vma *vma = vmas->entries[i].wire;

		space = crfs_find_entry(&restart->records, CRFS_TAG_mm, vma->mm)->attached;
		space->vmas[space->vma_count++] = &vmas->entries[i];
		cond_resched();
	}
	return 0;
}

/* Private memory alone is filled: what is shared is written through its file. */
static bool crfs_can_fill(const struct crfs_vma *vma)
{
	return !(vma->prot & 8) && vma->kind != CRFS_vma_kind_vvar;
}

/* Its mappings do not overlap, and each range lies within one. */
static int crfs_check_layout(struct crfs_space *space, struct crfs_fault *fault)
{
	const struct crfs_vma *vma, *last = NULL;
	u64 i, at = 0;

	sort(space->vmas, space->vma_count, sizeof(*space->vmas), crfs_compare_vmas, NULL);
	for (i = 0; i < space->vma_count; i++) {
		vma = space->vmas[i]->wire;
		if (last && vma->start < last->end)
			return crfs_blame(fault, CRFS_TAG_vma, space->vmas[i]->id, vma->start,
					  -EBADMSG);
		last = vma;
	}
	for (i = 0; i < space->range_count; i++) {
		const struct crfs_range *range = &space->ranges[i];

		while (at < space->vma_count &&
		       ((const struct crfs_vma *)space->vmas[at]->wire)->end <= range->address)
			at++;
		if (at == space->vma_count)
			return crfs_blame(fault, CRFS_TAG_mm, space->id, range->address, -EINVAL);
		vma = space->vmas[at]->wire;
		if (range->address < vma->start ||
		    range->address + range->length > vma->end || !crfs_can_fill(vma))
			return crfs_blame(fault, CRFS_TAG_vma, space->vmas[at]->id,
					  range->address, -EINVAL);
		cond_resched();
	}
	return 0;
}

/**
 * crfs_check_references - do the records, files and ranges fit together?
 * @restart: whose lock is held; nothing more will be written
 * @fault: the object at fault
 *
 * Return: 0; -EBADMSG: an owner is missing, or mappings overlap; -ENOENT: a file was not
 * supplied; -EINVAL: a range is not within a private mapping; -ESRCH: a thread has not
 * joined; -ENOMEM.
 */
int crfs_check_references(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_entries *mms = crfs_entries_of(&restart->records, CRFS_TAG_mm);
	u64 i;
	int err;

	err = CRFS_CHECK_EACH(restart, mm, crfs_check_space, fault) ?:
	      CRFS_CHECK_EACH(restart, vma, crfs_check_vma, fault) ?:
	      CRFS_CHECK_EACH(restart, sigaction, crfs_check_action, fault) ?:
	      CRFS_CHECK_EACH(restart, task, crfs_check_task, fault) ?:
	      CRFS_CHECK_EACH(restart, signal, crfs_check_signal, fault) ?:
	      CRFS_CHECK_EACH(restart, thread, crfs_check_thread, fault) ?:
	      CRFS_CHECK_EACH(restart, thread_signal, crfs_check_thread_signal, fault);
	if (!err)
		err = crfs_list_vmas(restart);
	for (i = 0; !err && i < mms->count; i++)
		err = crfs_check_layout(mms->entries[i].attached, fault);
	return err;
}

/* Who has joined, and what they share, by the kernel's pointers. */
struct crfs_seen {
	struct xarray tasks;	/* crfs_joiner by task_struct */
	struct xarray mms;	/* crfs_space by mm_struct */
	struct xarray sighands;	/* crfs_entry by sighand_struct */
};

static void crfs_seen_free(struct crfs_seen *seen)
{
	xa_destroy(&seen->tasks);
	xa_destroy(&seen->mms);
	xa_destroy(&seen->sighands);
}

/* One pointer stands for one object: two of them are not one, and one is not two. */
static int crfs_match(struct xarray *seen, const void *pointer, void *object)
{
	void *known = xa_load(seen, (unsigned long)pointer);

	if (!known)
		return xa_err(xa_store(seen, (unsigned long)pointer, object, GFP_KERNEL));
	return known == object ? 0 : -EINVAL;
}

/* States of a maker that would stay in the task, and spoil it. */
#define CRFS_UNFIT                                                                            \
	(BIT(CRFS_blockers_compat) | BIT(CRFS_blockers_shadow_stack) |                        \
	 BIT(CRFS_blockers_io_uring) | BIT(CRFS_blockers_uprobes))

/* Its stack lasts while it is parked and the siglock is held: to end, it has to take that. */
static int crfs_check_fit(struct crfs_joiner *joiner)
{
	struct task_struct *task = joiner->task;
	struct sighand_struct *sighand;
	unsigned long flags;
	int err = -ESRCH;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -ESRCH;
	if (atomic_read(&joiner->state) == CRFS_JOINER_PARKED)
		err = crfs_thread_blockers(task) & CRFS_UNFIT ||
		      crfs_has_posix_timers(task->signal) ? -EINVAL : 0;
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return err;
}

static int crfs_check_live(struct crfs_restart *restart, struct crfs_joiner *joiner,
			   struct crfs_seen *seen)
{
	const struct crfs_task *task = crfs_task_of(joiner);
	struct crfs_entry *sighand = crfs_find_entry(&restart->records, CRFS_TAG_sighand,
						     task->sighand);
	struct crfs_entry *mm = crfs_find_entry(&restart->records, CRFS_TAG_mm, task->mm);
	struct crfs_space *space = mm->attached;
	struct task_struct *tsk = joiner->task;
	int err;

	/* A program that execve(2) put in its place since has not joined. */
	if (!crfs_is_same_program(joiner) || !crfs_has_mm(tsk, joiner->mm))
		return -EINVAL;
	err = crfs_check_fit(joiner);
	if (err)
		return err;
	if ((space->mm && space->mm != joiner->mm) ||
	    (sighand->attached && ((struct crfs_joiner *)sighand->attached)->task->sighand !=
				  tsk->sighand))
		return -EINVAL;
	err = crfs_match(&seen->mms, joiner->mm, space) ?:
	      crfs_match(&seen->sighands, rcu_access_pointer(tsk->sighand), sighand);
	if (err)
		return err;
	joiner->space = space;
	space->mm = joiner->mm;
	if (!space->builder)
		space->builder = joiner;
	if (!sighand->attached)
		sighand->attached = joiner;
	return 0;
}

/* A dead leader keeps its group; a dead task has nothing else. */
static int crfs_check_dead(struct crfs_joiner *joiner)
{
	struct task_struct *tsk = joiner->task;

	if (tsk->exit_state != EXIT_ZOMBIE || !thread_group_leader(tsk) ||
	    !crfs_is_same_program(joiner))
		return -EINVAL;
	return crfs_task_of(joiner)->state == CRFS_state_zombie && !thread_group_empty(tsk)
		       ? -EINVAL : 0;
}

/* Is there a thread that shares what is to be changed, but has not joined? */
static bool crfs_has_stranger(struct crfs_seen *seen)
{
	struct task_struct *group, *task;
	bool found = false;

	rcu_read_lock();
	for_each_process_thread(group, task) {
		if (READ_ONCE(task->exit_state) ||
		    xa_load(&seen->tasks, (unsigned long)task))
			continue;
		if ((READ_ONCE(task->mm) &&
		     xa_load(&seen->mms, (unsigned long)READ_ONCE(task->mm))) ||
		    xa_load(&seen->sighands, (unsigned long)rcu_access_pointer(task->sighand)))
			found = true;
	}
	rcu_read_unlock();
	return found;
}

static int crfs_check_all(struct crfs_restart *restart, struct crfs_seen *seen,
			  struct crfs_fault *fault)
{
	struct crfs_joiner *joiner;
	struct crfs_entry *task;
	int err;

	list_for_each_entry(joiner, &restart->joiners, node) {
		err = joiner->zombie ? crfs_check_dead(joiner)
				     : crfs_check_live(restart, joiner, seen);
		if (!err)
			err = xa_err(xa_store(&seen->tasks, (unsigned long)joiner->task, joiner,
					      GFP_KERNEL));
		if (err)
			return crfs_blame(fault, CRFS_TAG_thread, joiner->id, 0, err);
		task = crfs_find_entry(&restart->records, CRFS_TAG_task, joiner->task_id);
		if (!task->attached || !joiner->zombie)
			task->attached = joiner;
	}
	list_for_each_entry(joiner, &restart->joiners, node) {
		if (!xa_load(&seen->tasks, (unsigned long)joiner->task->group_leader))
			return crfs_blame(fault, CRFS_TAG_task, joiner->task_id, 0, -EINVAL);
	}
	return crfs_has_stranger(seen) ? -EINVAL : 0;
}

static int crfs_check_staffed(struct crfs_restart *restart, struct crfs_entry *entry)
{
	const struct crfs_task *task = entry->wire;
	const struct crfs_joiner *joiner = entry->attached;

	return joiner && (task->state == CRFS_state_zombie || !joiner->zombie) ? 0 : -ESRCH;
}

/**
 * crfs_check_joiners - are those that joined what the records tell of?
 * @restart: whose lock is held; all have settled
 * @fault: the object at fault
 *
 * Finds out who builds each space, and who stands for each task and table of handlers.
 *
 * Return: 0; -EINVAL: they share what they should not, or not what they should; -ESRCH: a
 * task has no thread; -ENOMEM.
 */
int crfs_check_joiners(struct crfs_restart *restart, struct crfs_fault *fault)
{
	struct crfs_seen seen;
	int err;

	xa_init(&seen.tasks);
	xa_init(&seen.mms);
	xa_init(&seen.sighands);
	err = crfs_check_all(restart, &seen, fault) ?:
	      CRFS_CHECK_EACH(restart, task, crfs_check_staffed, fault);
	crfs_seen_free(&seen);
	return err;
}
