// SPDX-License-Identifier: GPL-2.0-only
/*
 * The descriptor of a restart: what is written to it, its ioctls, its end.
 */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "arguments.h"
#include "restart.h"

#define CRFS_STEP_TIMEOUT_MS 10000

static struct crfs_restart *crfs_restart_create(void)
{
	struct crfs_restart *restart = kzalloc(sizeof(*restart), GFP_KERNEL_ACCOUNT);

	if (!restart)
		return NULL;
	kref_init(&restart->ref);
	mutex_init(&restart->lock);
	restart->holder = current->files;
	xa_init(&restart->files);
	xa_init(&restart->shmems);
	INIT_LIST_HEAD(&restart->joiners);
	init_waitqueue_head(&restart->settle);
	init_waitqueue_head(&restart->resume);
	return restart;
}

static void crfs_restart_free(struct kref *ref)
{
	struct crfs_restart *restart = container_of(ref, struct crfs_restart, ref);

	WARN_ON_ONCE(!list_empty(&restart->joiners));
	crfs_supply_free(restart);
	crfs_records_free(&restart->records);
	kfree(restart);
}

void crfs_restart_put(struct crfs_restart *restart)
{
	kref_put(&restart->ref, crfs_restart_free);
}

/* The end, but for a start that succeeded: what has joined dies. */
static void crfs_restart_end(struct crfs_restart *restart)
{
	lockdep_assert_held(&restart->lock);
	if (restart->step != CRFS_RESTART_OVER)
		crfs_restart_kill(restart);
	restart->step = CRFS_RESTART_OVER;
	crfs_joiners_drop(restart);
}

/* Does it still take what the next steps work on? */
static bool crfs_is_open(const struct crfs_restart *restart)
{
	return restart->step == CRFS_RESTART_OPEN && !restart->underway;
}

static ssize_t crfs_restart_write(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct crfs_restart *restart = kiocb->ki_filp->private_data;
	ssize_t result;

	if (mutex_lock_interruptible(&restart->lock))
		return -EINTR;
	if (restart->step == CRFS_RESTART_OVER)
		result = -ENODEV;
	else if (!crfs_is_open(restart) || !list_empty(&restart->joiners))
		result = -EINVAL;
	else
		result = crfs_records_write(&restart->records, iter, &restart->fault);
	mutex_unlock(&restart->lock);
	return result;
}

static long crfs_ioctl_supply(struct crfs_restart *restart, void __user *user)
{
	struct crfs_ioc_supply args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (!err && !crfs_is_open(restart))
		err = -EINVAL;
	return err ?: crfs_supply(restart, &args);
}

static long crfs_ioctl_shmem(struct crfs_restart *restart, void __user *user)
{
	struct crfs_ioc_shmem args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (!err && (args.flags || !crfs_is_open(restart)))
		err = -EINVAL;
	return err ?: crfs_shmem_open(args.length);
}

static long crfs_ioctl_fill(struct crfs_restart *restart, void __user *user)
{
	struct crfs_ioc_fill args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (!err && !crfs_is_open(restart))
		err = -EINVAL;
	return err ?: crfs_fill(restart, &args);
}

static long crfs_ioctl_join(struct crfs_restart *restart, void __user *user)
{
	struct crfs_ioc_join args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (!err && (args.flags || !crfs_is_open(restart)))
		err = -EINVAL;
	return err ?: crfs_join(restart, args.id);
}

/* GATHER, BUILD and START: whatever fails is the end, but a bad argument or a signal. */
static long crfs_ioctl_step(struct crfs_restart *restart, unsigned int command, void __user *user)
{
	struct crfs_fault fault = {};
	struct crfs_ioc_step args;
	unsigned long deadline;
	int err = crfs_copy_in(&args, sizeof(args), user);
	u32 size = args.size;
	int out;

	if (err)
		return err;
	if (args.flags || restart->step != command - CRFS_IOC_GATHER + CRFS_RESTART_OPEN)
		return -EINVAL;
	if (!args.timeout_ms && command == CRFS_IOC_BUILD)
		deadline = jiffies + MAX_JIFFY_OFFSET;
	else
		deadline = jiffies + msecs_to_jiffies(args.timeout_ms ?: CRFS_STEP_TIMEOUT_MS);
	if (command == CRFS_IOC_GATHER)
		err = crfs_gather(restart, deadline, &fault);
	else if (command == CRFS_IOC_BUILD)
		err = crfs_do_job(restart, CRFS_JOB_BUILD, deadline, &fault);
	else
		err = crfs_start(restart, deadline, &fault);
	if (err == -ERESTARTSYS)
		return err;
	restart->underway = false;
	if (err)
		crfs_restart_end(restart);
	else
		restart->step++;
	if (restart->step == CRFS_RESTART_OVER)
		crfs_joiners_drop(restart);
	args.type = fault.type;
	args.id = fault.id;
	args.detail = fault.detail;
	out = crfs_copy_out(user, &args, size, sizeof(args));
	return err ?: out;
}

static_assert(CRFS_IOC_BUILD - CRFS_IOC_GATHER == CRFS_RESTART_GATHERED - CRFS_RESTART_OPEN);
static_assert(CRFS_IOC_START - CRFS_IOC_GATHER == CRFS_RESTART_BUILT - CRFS_RESTART_OPEN);

static long crfs_restart_command(struct crfs_restart *restart, unsigned int command,
				 void __user *user)
{
	switch (command) {
	case CRFS_IOC_SUPPLY:
		return crfs_ioctl_supply(restart, user);
	case CRFS_IOC_SHMEM:
		return crfs_ioctl_shmem(restart, user);
	case CRFS_IOC_FILL:
		return crfs_ioctl_fill(restart, user);
	case CRFS_IOC_JOIN:
		return crfs_ioctl_join(restart, user);
	case CRFS_IOC_GATHER:
	case CRFS_IOC_BUILD:
	case CRFS_IOC_START:
		return crfs_ioctl_step(restart, command, user);
	default:
		return -ENOTTY;
	}
}

static long crfs_restart_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct crfs_restart *restart = file->private_data;
	long result;

	if (mutex_lock_interruptible(&restart->lock))
		return -EINTR;
	if (restart->step == CRFS_RESTART_OVER)
		result = -ENODEV;
	else
		result = crfs_restart_command(restart, command, (void __user *)argument);
	mutex_unlock(&restart->lock);
	return result;
}

static int crfs_is_file(const void *file, struct file *other, unsigned int fd)
{
	return file == other;
}

/* As crfs_session_flush(): threads that joined hold descriptors too, but theirs do not count. */
static int crfs_restart_flush(struct file *file, fl_owner_t owner)
{
	struct crfs_restart *restart = file->private_data;

	if (restart->holder != owner)
		return 0;
	mutex_lock(&restart->lock);
	if (current->files != owner || !iterate_fd(current->files, 0, crfs_is_file, file))
		crfs_restart_end(restart);
	mutex_unlock(&restart->lock);
	return 0;
}

static int crfs_restart_close(struct inode *inode, struct file *file)
{
	struct crfs_restart *restart = file->private_data;

	mutex_lock(&restart->lock);
	crfs_restart_end(restart);
	mutex_unlock(&restart->lock);
	crfs_restart_put(restart);
	return 0;
}

static const struct file_operations crfs_restart_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = crfs_restart_ioctl,
	.write_iter = crfs_restart_write,
	.flush = crfs_restart_flush,
	.release = crfs_restart_close,
	.llseek = noop_llseek,
};

/* Returns the descriptor of a new, empty restart. */
int crfs_restart_open(void)
{
	struct crfs_restart *restart = crfs_restart_create();
	int fd;

	if (!restart)
		return -ENOMEM;
	fd = anon_inode_getfd("[crfs-restart]", &crfs_restart_operations, restart,
			      O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		crfs_restart_put(restart);
	return fd;
}
