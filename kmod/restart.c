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
	xa_init_flags(&restart->files, XA_FLAGS_ACCOUNT);
	xa_init_flags(&restart->shmems, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&restart->joiners);
	init_waitqueue_head(&restart->settle);
	init_waitqueue_head(&restart->resume);
	init_waitqueue_head(&restart->help);
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

static void crfs_set_step(struct crfs_restart *restart, enum crfs_restart_step step)
{
	lockdep_assert_held(&restart->lock);
	smp_store_release(&restart->step, step);
	wake_up_all(&restart->help);
}

/* The end, but for a start that succeeded: what has joined dies. */
static void crfs_restart_end(struct crfs_restart *restart)
{
	lockdep_assert_held(&restart->lock);
	if (restart->step != CRFS_RESTART_OVER)
		crfs_restart_kill(restart);
	crfs_set_step(restart, CRFS_RESTART_OVER);
	crfs_joiners_drop(restart);
}

static ssize_t crfs_restart_write(struct kiocb *kiocb, struct iov_iter *iter)
{
	return crfs_records_write(kiocb->ki_filp->private_data, iter);
}

/* GATHER, BUILD and START: whatever fails is the end, but a bad argument or a signal. */
static int crfs_step(struct crfs_restart *restart, unsigned int command,
		     const struct crfs_ioc_step *args, struct crfs_fault *fault)
{
	unsigned long deadline;
	int err;

	if (args->flags || restart->step != command - CRFS_IOC_GATHER + CRFS_RESTART_OPEN)
		return -EINVAL;
	if (!args->timeout_ms && command == CRFS_IOC_BUILD)
		deadline = jiffies + MAX_JIFFY_OFFSET;
	else
		deadline = jiffies + msecs_to_jiffies(args->timeout_ms ?: CRFS_STEP_TIMEOUT_MS);
	if (command == CRFS_IOC_GATHER)
		err = crfs_gather(restart, deadline, fault);
	else if (command == CRFS_IOC_BUILD)
		err = crfs_do_job(restart, CRFS_JOB_BUILD, deadline, fault);
	else
		err = crfs_start(restart, deadline, fault);
	if (err == -ERESTARTSYS)
		return err;
	restart->underway = false;
	if (err)
		crfs_restart_end(restart);
	else
		crfs_set_step(restart, restart->step + 1);
	if (restart->step == CRFS_RESTART_OVER)
		crfs_joiners_drop(restart);
	return err;
}

static_assert(CRFS_IOC_BUILD - CRFS_IOC_GATHER == CRFS_RESTART_GATHERED - CRFS_RESTART_OPEN);
static_assert(CRFS_IOC_START - CRFS_IOC_GATHER == CRFS_RESTART_BUILT - CRFS_RESTART_OPEN);

union crfs_restart_args {
	u32 size;
	struct crfs_ioc_supply supply;
	struct crfs_ioc_shmem shmem;
	struct crfs_ioc_fill fill;
	struct crfs_ioc_join join;
	struct crfs_ioc_step step;
	struct crfs_ioc_help help;
};

/* How long the argument of a command is, 0: there is no such command. */
static size_t crfs_args_size(unsigned int command)
{
	switch (command) {
	case CRFS_IOC_SUPPLY:
		return sizeof(struct crfs_ioc_supply);
	case CRFS_IOC_SHMEM:
		return sizeof(struct crfs_ioc_shmem);
	case CRFS_IOC_FILL:
		return sizeof(struct crfs_ioc_fill);
	case CRFS_IOC_JOIN:
		return sizeof(struct crfs_ioc_join);
	case CRFS_IOC_GATHER:
	case CRFS_IOC_BUILD:
	case CRFS_IOC_START:
		return sizeof(struct crfs_ioc_step);
	case CRFS_IOC_HELP:
		return sizeof(struct crfs_ioc_help);
	default:
		return 0;
	}
}

static long crfs_restart_command(struct crfs_restart *restart, unsigned int command,
				 const union crfs_restart_args *args, struct crfs_fault *fault)
{
	int err;

	lockdep_assert_held(&restart->lock);
	if (restart->step == CRFS_RESTART_OVER)
		return -ENODEV;
	if (command >= CRFS_IOC_GATHER)
		return crfs_step(restart, command, &args->step, fault);
	err = crfs_check_open(restart);
	if (err)
		return err;
	switch (command) {
	case CRFS_IOC_SUPPLY:
		return crfs_supply(restart, &args->supply);
	case CRFS_IOC_SHMEM:
		return args->shmem.flags ? -EINVAL : crfs_shmem_open(args->shmem.length);
	default:
		return args->join.flags ? -EINVAL : crfs_join(restart, args->join.id);
	}
}

static long crfs_restart_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct crfs_restart *restart = file->private_data;
	size_t known = crfs_args_size(command);
	void __user *user = (void __user *)argument;
	struct crfs_fault fault = {};
	union crfs_restart_args args;
	long result;
	int err;

	if (!known)
		return -ENOTTY;
	err = crfs_copy_in(&args, known, user);
	if (err)
		return err;
	if (command == CRFS_IOC_FILL)
		return crfs_fill(restart, &args.fill);
	/* While BUILD has the lock. */
	if (command == CRFS_IOC_HELP)
		return crfs_help(restart, &args.help);
	if (mutex_lock_interruptible(&restart->lock))
		return -EINTR;
	result = crfs_restart_command(restart, command, &args, &fault);
	mutex_unlock(&restart->lock);
	if (command < CRFS_IOC_GATHER || result == -ERESTARTSYS)
		return result;
	args.step.type = fault.type;
	args.step.id = fault.id;
	args.step.detail = fault.detail;
	err = crfs_copy_out(user, &args, args.size, known);
	return result ?: err;
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
	if (current->files == owner && iterate_fd(current->files, 0, crfs_is_file, file))
		return 0;
	WRITE_ONCE(restart->ending, true);
	wake_up_all(&restart->settle);
	wake_up_all(&restart->help);
	mutex_lock(&restart->lock);
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
