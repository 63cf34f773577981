// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is anything that is captured also used by a task outside of the session? Reference
 * counts alone cannot tell: readers of /proc hold some for a moment. So all threads of
 * the machine are looked at, once for a capture.
 */
#include <linux/rcupdate.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "session.h"

struct crfs_users {
	struct crfs_objects *objects;
	/* By id, from 1: threads seen that use the object; the session's own subtracted. */
	s32 *mm;
	s32 *files;
	s32 *fs;
	s32 *sighand;
};

static void crfs_count(const struct crfs_table *table, s32 *users, const void *pointer, s32 add)
{
	struct crfs_key key = { pointer };
	u64 id = pointer ? crfs_table_find(table, key) : 0;

	if (id)
		users[id] += add;
}

/* Pointers are compared, never followed. */
static void crfs_count_thread(struct crfs_users *users, struct task_struct *task, s32 add)
{
	struct crfs_objects *objects = users->objects;

	if (READ_ONCE(task->exit_state))
		return;
	crfs_count(&objects->mm, users->mm, READ_ONCE(task->mm), add);
	crfs_count(&objects->fdtable, users->files, READ_ONCE(task->files), add);
	crfs_count(&objects->fs, users->fs, READ_ONCE(task->fs), add);
	crfs_count(&objects->sighand, users->sighand,
		   rcu_access_pointer(task->sighand), add);
}

/* Threads of one group may have split what the format keeps for the group as a whole. */
static bool crfs_is_split(struct crfs_group *task, const struct crfs_task_source *source,
			  const struct crfs_objects *objects)
{
	struct crfs_member *thread;

	if (!task->mm)
		return false;
	list_for_each_entry(thread, &task->threads, node) {
		struct crfs_key files = { READ_ONCE(thread->task->files) };
		struct crfs_key fs = { READ_ONCE(thread->task->fs) };

		if (READ_ONCE(thread->task->exit_state))
			continue;
		if (crfs_table_find(&objects->fdtable, files) != source->fd ||
		    crfs_table_find(&objects->fs, fs) != source->fs)
			return true;
	}
	return false;
}

static void crfs_mark(struct crfs_users *users)
{
	struct crfs_objects *objects = users->objects;
	u64 id;

	for (id = 1; id <= objects->mm.count; id++) {
		struct crfs_mm_source *mm = crfs_table_at(&objects->mm, id);

		if (users->mm[id] > 0)
			mm->blockers |= 1U << CRFS_blockers_shared_outside;
	}
	for (id = 1; id <= objects->task.count; id++) {
		struct crfs_task_source *source = crfs_table_at(&objects->task, id);

		if (users->files[source->fd] > 0 || users->fs[source->fs] > 0 ||
		    users->sighand[source->sighand] > 0 ||
		    crfs_is_split(source->task, source, objects))
			source->blockers |= 1U << CRFS_blockers_shared_outside;
	}
}

/**
 * crfs_note_sharing - set the blocker of all that is shared with a task not frozen here
 * @session: whose lock is held, and whose objects are collected
 *
 * Without memory for the counts nothing is known, and all counts as shared.
 */
void crfs_note_sharing(struct crfs_session *session)
{
	struct crfs_objects *objects = &session->objects;
	struct crfs_users users = { .objects = objects };
	struct task_struct *group, *task;
	struct crfs_member *thread;
	struct crfs_group *frozen;
	u64 id;

	lockdep_assert_held(&session->lock);
	users.mm = kvcalloc(objects->mm.count + 1, sizeof(s32), GFP_KERNEL_ACCOUNT);
	users.files = kvcalloc(objects->fdtable.count + 1, sizeof(s32), GFP_KERNEL_ACCOUNT);
	users.fs = kvcalloc(objects->fs.count + 1, sizeof(s32), GFP_KERNEL_ACCOUNT);
	users.sighand = kvcalloc(objects->sighand.count + 1, sizeof(s32), GFP_KERNEL_ACCOUNT);
	if (!users.mm || !users.files || !users.fs || !users.sighand) {
		for (id = 1; id <= objects->task.count; id++)
			((struct crfs_task_source *)crfs_table_at(&objects->task, id))->blockers |=
				1U << CRFS_blockers_shared_outside;
		goto free;
	}
	rcu_read_lock();
	for_each_process_thread(group, task)
		crfs_count_thread(&users, task, 1);
	rcu_read_unlock();
	list_for_each_entry(frozen, &session->tasks, node) {
		list_for_each_entry(thread, &frozen->threads, node)
			crfs_count_thread(&users, thread->task, -1);
	}
	users.files[0] = 0;
	users.fs[0] = 0;
	users.sighand[0] = 0;
	crfs_mark(&users);
free:
	kvfree(users.mm);
	kvfree(users.files);
	kvfree(users.fs);
	kvfree(users.sighand);
}
