// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/crfs: the device and its ioctls.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include <crfs/ioctl.h>
#include <crfs/schema.h>

#include "arguments.h"
#include "restart.h"
#include "session.h"

static long crfs_query(void __user *user)
{
	struct crfs_ioc_query args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (err)
		return err;
	args.format = CRFS_FORMAT_VERSION;
	args.features = CRFS_FEATURE_CAPTURE | CRFS_FEATURE_RESTART;
	return crfs_copy_out(user, &args, args.size, sizeof(args));
}

static long crfs_checkpoint(void __user *user)
{
	struct crfs_ioc_checkpoint args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (err)
		return err;
	if (args.flags)
		return -EINVAL;
	return crfs_session_open();
}

static bool crfs_is_filtered(const struct task_struct *task)
{
#ifdef CONFIG_SECCOMP
	return task->seccomp.mode != SECCOMP_MODE_DISABLED;
#else
	return false;
#endif
}

static long crfs_restart(void __user *user)
{
	struct crfs_ioc_restart args;
	int err = crfs_copy_in(&args, sizeof(args), user);

	if (err)
		return err;
	if (args.flags)
		return -EINVAL;
	/* What a restart maps, no filter of system calls sees. */
	if (crfs_is_filtered(current) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return crfs_restart_open();
}

static long crfs_device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case CRFS_IOC_QUERY:
		return crfs_query(user);
	case CRFS_IOC_CHECKPOINT:
		return crfs_checkpoint(user);
	case CRFS_IOC_RESTART:
		return crfs_restart(user);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations crfs_device_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = crfs_device_ioctl,
	.llseek = noop_llseek,
};

/* Open to all: each freeze asks for a proof that the caller may ptrace the task, and a restart
 * touches only threads that have joined it by themselves. */
static struct miscdevice crfs_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = CRFS_DEVICE_NAME,
	.fops = &crfs_device_operations,
	.mode = 0666,
};

static int __init crfs_init(void)
{
	return misc_register(&crfs_device);
}

static void __exit crfs_exit(void)
{
	misc_deregister(&crfs_device);
	crfs_park_exit();
}

module_init(crfs_init);
module_exit(crfs_exit);
MODULE_DESCRIPTION("Checkpoint and restart of running tasks");
MODULE_LICENSE("GPL");
