// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRFS_IOC_CAPTURE: collect everything, then emit it type by type.
 */
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "emit.h"
#include "session.h"

/* Emits all objects of one type, by id. */
#define CRFS_EMIT_ALL(name)                                                                 \
	for (id = 1; !err && id <= objects->name.count; id++) {                             \
		err = crfs_emit_##name(emitter, id, crfs_table_at(&objects->name, id));     \
		cond_resched();                                                             \
	}

/* In the order of the tags; the static asserts see to it. */
static int crfs_emit_objects(struct crfs_emitter *emitter, struct crfs_objects *objects)
{
	int err = 0;
	u64 id;

	CRFS_EMIT_ALL(pipe)
	CRFS_EMIT_ALL(shmem)
	static_assert((int)CRFS_TAG_pipe < (int)CRFS_TAG_shmem);
	CRFS_EMIT_ALL(file)
	static_assert((int)CRFS_TAG_shmem < (int)CRFS_TAG_file);
	CRFS_EMIT_ALL(fs)
	static_assert((int)CRFS_TAG_file < (int)CRFS_TAG_fs);
	CRFS_EMIT_ALL(mm)
	static_assert((int)CRFS_TAG_fs < (int)CRFS_TAG_mm);
	CRFS_EMIT_ALL(vma)
	static_assert((int)CRFS_TAG_mm < (int)CRFS_TAG_vma);
	CRFS_EMIT_ALL(fdtable)
	static_assert((int)CRFS_TAG_vma < (int)CRFS_TAG_fdtable);
	CRFS_EMIT_ALL(fd)
	static_assert((int)CRFS_TAG_fdtable < (int)CRFS_TAG_fd);
	CRFS_EMIT_ALL(sighand)
	static_assert((int)CRFS_TAG_fd < (int)CRFS_TAG_sighand);
	CRFS_EMIT_ALL(sigaction)
	static_assert((int)CRFS_TAG_sighand < (int)CRFS_TAG_sigaction);
	CRFS_EMIT_ALL(cred)
	static_assert((int)CRFS_TAG_sigaction < (int)CRFS_TAG_cred);
	CRFS_EMIT_ALL(task)
	static_assert((int)CRFS_TAG_cred < (int)CRFS_TAG_task);
	CRFS_EMIT_ALL(signal)
	static_assert((int)CRFS_TAG_task < (int)CRFS_TAG_signal);
	CRFS_EMIT_ALL(thread)
	static_assert((int)CRFS_TAG_signal < (int)CRFS_TAG_thread);
	CRFS_EMIT_ALL(thread_signal)
	static_assert((int)CRFS_TAG_thread < (int)CRFS_TAG_thread_signal);
	return err;
}

/* One EXTENTS record: as many as fit of the owner of extent @first. Returns the last's id. */
static u64 crfs_fill_extents(struct crfs_emitter *emitter, struct crfs_table *table, u64 first)
{
	struct crfs_extent_source *owner = crfs_table_at(table, first);
	struct crfs_extents head = {
		.owner_type = owner->owner_type,
		.owner_id = owner->owner_id,
	};
	u64 last = first;
	u64 id;

	while (last < table->count && last - first + 1 < CRFS_EXTENTS_MAX) {
		struct crfs_extent_source *next = crfs_table_at(table, last + 1);

		if (next->owner_type != owner->owner_type || next->owner_id != owner->owner_id)
			break;
		last++;
	}
	head.count = last - first + 1;
	emitter->body.length = 0;
	if (crfs_body_append(&emitter->body, &head, sizeof(head)))
		return 0;
	for (id = first; id <= last; id++) {
		struct crfs_extent_source *source = crfs_table_at(table, id);
		struct crfs_extent extent = { source->offset, source->length };

		if (crfs_body_append(&emitter->body, &extent, sizeof(extent)))
			return 0;
	}
	return last;
}

static int crfs_emit_extents(struct crfs_emitter *emitter, struct crfs_table *table, u64 *number)
{
	u64 last = 0;
	int err;

	while (last < table->count) {
		last = crfs_fill_extents(emitter, table, last + 1);
		if (!last)
			return -ENOMEM;
		err = crfs_stream_record(emitter->stream, CRFS_RECORD_EXTENTS, ++*number,
					 &emitter->body);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/* Shared memory comes first in the table, so it is looked for last but emitted first. */
static int crfs_emit_memory(struct crfs_emitter *emitter, struct crfs_objects *objects,
			    u64 *memory)
{
	struct crfs_table private = objects->extent;
	u64 number = 0;
	u64 id;
	int err = 0;

	objects->extent.entries = NULL;
	objects->extent.count = 0;
	objects->extent.capacity = 0;
	for (id = 1; !err && id <= objects->shmem.count; id++)
		err = crfs_shmem_extents(objects, id);
	if (!err)
		err = crfs_emit_extents(emitter, &objects->extent, &number);
	if (!err)
		err = crfs_emit_extents(emitter, &private, &number);
	*memory = 0;
	for (id = 1; id <= objects->extent.count; id++)
		*memory += ((struct crfs_extent_source *)crfs_table_at(&objects->extent, id))->length;
	for (id = 1; id <= private.count; id++)
		*memory += ((struct crfs_extent_source *)crfs_table_at(&private, id))->length;
	kvfree(private.entries);
	return err;
}

/* Is all that was captured still frozen? A task may have been killed meanwhile. */
static struct crfs_group *crfs_find_dead(struct crfs_session *session)
{
	struct crfs_member *thread;
	struct crfs_group *task;

	list_for_each_entry(task, &session->tasks, node) {
		if (!task->mm)
			continue;
		if (READ_ONCE(task->leader->signal->flags) & SIGNAL_GROUP_EXIT)
			return task;
		list_for_each_entry(thread, &task->threads, node) {
			if (smp_load_acquire(&thread->state) == CRFS_THREAD_GONE &&
			    !(READ_ONCE(thread->task->exit_state) &&
			      thread_group_leader(thread->task)))
				return task;
		}
	}
	return NULL;
}

/**
 * crfs_capture - gather the records of all frozen tasks
 * @session: whose lock is held; not captured yet
 * @args: as in include/crfs/ioctl.h
 *
 * Return: 0; -ESRCH if a task was killed; another error. After an error the session can
 * only be thawed.
 */
int crfs_capture(struct crfs_session *session, struct crfs_ioc_capture *args)
{
	struct crfs_emitter emitter = { .stream = &session->stream };
	struct crfs_objects *objects = &session->objects;
	struct crfs_group *fault = NULL;
	int err;

	lockdep_assert_held(&session->lock);
	err = crfs_collect(session, &fault);
	if (!err) {
		crfs_note_sharing(session);
		err = crfs_emit_objects(&emitter, objects);
	}
	if (!err)
		err = crfs_emit_memory(&emitter, objects, &args->memory);
	if (!err || err == -ESRCH) {
		struct crfs_group *dead = crfs_find_dead(session);

		if (dead) {
			fault = dead;
			err = -ESRCH;
		}
	}
	crfs_body_free(&emitter.body);
	if (err) {
		if (fault)
			args->pid = pid_vnr(fault->pid);
		crfs_objects_free(objects);
		crfs_stream_free(&session->stream);
		crfs_objects_init(objects);
		return err;
	}
	crfs_objects_trim(objects);
	session->captured = true;
	args->records = session->stream.records;
	args->bytes = session->stream.size;
	return 0;
}
