// SPDX-License-Identifier: GPL-2.0-only
/*
 * The descriptor of a checkpoint: its ioctls, its stream, its end.
 */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "arguments.h"
#include "session.h"

struct crfs_session *crfs_session_create(void)
{
	struct crfs_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return NULL;
	kref_init(&session->ref);
	mutex_init(&session->lock);
	INIT_LIST_HEAD(&session->tasks);
	crfs_stream_init(&session->stream);
	crfs_objects_init(&session->objects);
	return session;
}

struct crfs_session *crfs_session_get(struct crfs_session *session)
{
	kref_get(&session->ref);
	return session;
}

static void crfs_session_free(struct kref *ref)
{
	struct crfs_session *session = container_of(ref, struct crfs_session, ref);

	WARN_ON_ONCE(!list_empty(&session->tasks));
	crfs_objects_free(&session->objects);
	crfs_stream_free(&session->stream);
	kfree(session);
}

void crfs_session_put(struct crfs_session *session)
{
	kref_put(&session->ref, crfs_session_free);
}

/**
 * crfs_session_thaw - let all tasks of a session go on; the second time does nothing
 * @session: whose lock is held
 *
 * Return: how long they stood, nanoseconds.
 */
u64 crfs_session_thaw(struct crfs_session *session)
{
	struct crfs_group *task, *next;

	lockdep_assert_held(&session->lock);
	if (session->thawed)
		return session->frozen_ns;
	/* Before any task runs: a memory read that has not seen this was of frozen memory. */
	smp_store_release(&session->thawed, true);
	smp_mb();
	list_for_each_entry(task, &session->tasks, node) {
		WRITE_ONCE(task->released, true);
		wake_up_all(&task->thaw);
	}
	if (!list_empty(&session->tasks))
		session->frozen_ns = ktime_to_ns(ktime_sub(ktime_get(), session->since));
	list_for_each_entry_safe(task, next, &session->tasks, node) {
		list_del_init(&task->node);
		crfs_task_release(task);
	}
	return session->frozen_ns;
}

static int crfs_ioctl_freeze(struct crfs_session *session, struct crfs_ioc_freeze *args)
{
	if (args->flags || args->reserved || session->captured || session->thawed)
		return -EINVAL;
	args->threads = 0;
	args->tid = 0;
	return crfs_freeze(session, args);
}

static int crfs_ioctl_capture(struct crfs_session *session, struct crfs_ioc_capture *args)
{
	if (args->flags || args->reserved || session->captured || session->thawed ||
	    list_empty(&session->tasks))
		return -EINVAL;
	args->pid = 0;
	return crfs_capture(session, args);
}

static int crfs_ioctl_memory(struct crfs_session *session, const struct crfs_ioc_memory *args)
{
	if (args->flags || args->reserved || !session->captured)
		return -EINVAL;
	if (session->thawed)
		return -ENODATA;
	return crfs_memory_open(session, args);
}

static int crfs_ioctl_thaw(struct crfs_session *session, struct crfs_ioc_thaw *args)
{
	if (args->flags)
		return -EINVAL;
	args->frozen_ns = crfs_session_thaw(session);
	return 0;
}

union crfs_session_args {
	u32 size;
	struct crfs_ioc_freeze freeze;
	struct crfs_ioc_capture capture;
	struct crfs_ioc_memory memory;
	struct crfs_ioc_thaw thaw;
};

/* How long the argument of a command is, 0: there is no such command. */
static size_t crfs_args_size(unsigned int command)
{
	switch (command) {
	case CRFS_IOC_FREEZE:
		return sizeof(struct crfs_ioc_freeze);
	case CRFS_IOC_CAPTURE:
		return sizeof(struct crfs_ioc_capture);
	case CRFS_IOC_MEMORY:
		return sizeof(struct crfs_ioc_memory);
	case CRFS_IOC_THAW:
		return sizeof(struct crfs_ioc_thaw);
	default:
		return 0;
	}
}

static int crfs_session_command(struct crfs_session *session, unsigned int command,
				union crfs_session_args *args)
{
	lockdep_assert_held(&session->lock);
	switch (command) {
	case CRFS_IOC_FREEZE:
		return crfs_ioctl_freeze(session, &args->freeze);
	case CRFS_IOC_CAPTURE:
		return crfs_ioctl_capture(session, &args->capture);
	case CRFS_IOC_MEMORY:
		return crfs_ioctl_memory(session, &args->memory);
	default:
		return crfs_ioctl_thaw(session, &args->thaw);
	}
}

/* The caller's memory is touched without the lock: it may fault for as long as he likes. */
static long crfs_session_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct crfs_session *session = file->private_data;
	void __user *user = (void __user *)argument;
	size_t known = crfs_args_size(command);
	union crfs_session_args args;
	int result, err;
	u32 size;

	if (!known)
		return -ENOTTY;
	err = crfs_copy_in(&args, known, user);
	if (err)
		return err;
	size = args.size;
	/* Before it waits for the lock: who waits with it is told of a close, too. */
	if (command == CRFS_IOC_FREEZE)
		WRITE_ONCE(session->holder, current->files);
	if (mutex_lock_interruptible(&session->lock))
		return -EINTR;
	result = crfs_session_command(session, command, &args);
	mutex_unlock(&session->lock);
	if (command == CRFS_IOC_MEMORY)
		return result;
	err = crfs_copy_out(user, &args, size, known);
	return result ?: err;
}

/* The records stay readable after the thaw: they are a copy. */
static ssize_t crfs_session_read(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct crfs_session *session = kiocb->ki_filp->private_data;
	bool captured;

	if (mutex_lock_interruptible(&session->lock))
		return -EINTR;
	captured = session->captured;
	mutex_unlock(&session->lock);
	if (!captured)
		return -EINVAL;
	return crfs_stream_read(&session->stream, iter, &kiocb->ki_pos);
}

static int crfs_is_file(const void *file, struct file *other, unsigned int fd)
{
	return file == other;
}

/*
 * The last descriptor of who froze the tasks goes, by close or by death. The release may be
 * far: a frozen task that inherited a descriptor cannot close it.
 */
static int crfs_session_flush(struct file *file, fl_owner_t owner)
{
	struct crfs_session *session = file->private_data;

	/* A freeze of another's waits no longer than for this to be seen. */
	if (READ_ONCE(session->holder) != owner ||
	    (current->files == owner && iterate_fd(current->files, 0, crfs_is_file, file)))
		return 0;
	WRITE_ONCE(session->ending, true);
	mutex_lock(&session->lock);
	crfs_session_thaw(session);
	mutex_unlock(&session->lock);
	return 0;
}

static int crfs_session_close(struct inode *inode, struct file *file)
{
	struct crfs_session *session = file->private_data;

	mutex_lock(&session->lock);
	crfs_session_thaw(session);
	mutex_unlock(&session->lock);
	crfs_session_put(session);
	return 0;
}

static const struct file_operations crfs_session_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = crfs_session_ioctl,
	.read_iter = crfs_session_read,
	.flush = crfs_session_flush,
	.release = crfs_session_close,
	.llseek = noop_llseek,
};

/* Returns the descriptor of a new, empty session. */
int crfs_session_open(void)
{
	struct crfs_session *session = crfs_session_create();
	int fd;

	if (!session)
		return -ENOMEM;
	fd = anon_inode_getfd("[crfs]", &crfs_session_operations, session, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		crfs_session_put(session);
	return fd;
}
