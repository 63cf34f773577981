// SPDX-License-Identifier: GPL-2.0-only
/*
 * May the caller ptrace the task? ptrace_may_access() is not exported, so the kernel is
 * made to answer elsewhere: it lets a process open another's /proc/PID/mem only after that
 * very check, with PTRACE_MODE_ATTACH and the security modules' say. Such a descriptor
 * refers to the address space; if the task still has it, the caller may.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "session.h"

bool crfs_has_mm(struct task_struct *task, struct mm_struct *mm)
{
	bool has;

	task_lock(task);
	has = task->mm == mm;
	task_unlock(task);
	return has;
}

/*
 * The name keeps out the other files of /proc/PID, some of which also refer to the mm but
 * are opened after a weaker check, even if one is bind-mounted over a mem file.
 */
static bool crfs_is_mem_file(struct file *file)
{
	const struct dentry *dentry = file->f_path.dentry;

	return file_inode(file)->i_sb->s_magic == PROC_SUPER_MAGIC &&
	       S_ISREG(file_inode(file)->i_mode) &&
	       !strcmp(dentry->d_name.name, "mem") && !(file->f_mode & FMODE_PATH);
}

/*
 * Has a thread of the group this mm? The leader may have exited before the others. Returns
 * 0, -EPERM if it has another, -ESRCH if it has none any more.
 */
static int crfs_match_group(struct task_struct *leader, struct mm_struct *mm)
{
	struct task_struct *thread;
	int err = -ESRCH;

	rcu_read_lock();
	__for_each_thread(leader->signal, thread) {
		if (crfs_has_mm(thread, mm)) {
			err = 0;
			break;
		}
		if (!crfs_has_mm(thread, NULL))
			err = -EPERM;
	}
	rcu_read_unlock();
	return err;
}

/**
 * crfs_proof - check that the caller may ptrace a task
 * @leader: of the thread group
 * @mem_fd: a descriptor of the caller, of /proc/PID/mem of any of its threads
 *
 * Return: the task's mm, with mm_users taken; -ESRCH if the task has none any more;
 * -EPERM if @mem_fd proves nothing for it.
 */
struct mm_struct *crfs_proof(struct task_struct *leader, int mem_fd)
{
	struct mm_struct *mm = ERR_PTR(-EPERM);
	struct file *file, *own;
	int err;

	file = fget(mem_fd);
	if (!file)
		return mm;
	if (!crfs_is_mem_file(file))
		goto put_file;
	/* What a mem file of this kernel looks like: the caller's own. */
	own = filp_open("/proc/thread-self/mem", O_RDONLY, 0);
	if (IS_ERR(own))
		goto put_file;
	if (!crfs_is_mem_file(own) || own->f_op != file->f_op ||
	    own->private_data != current->mm)
		goto put_own;

	/* The file holds the struct, but not what it describes. Null: it was of a zombie. */
	err = file->private_data ? crfs_match_group(leader, file->private_data) : -ESRCH;
	if (err)
		mm = ERR_PTR(err);
	else if (mmget_not_zero(file->private_data))
		mm = file->private_data;
	else
		mm = ERR_PTR(-ESRCH);
put_own:
	fput(own);
put_file:
	fput(file);
	return mm;
}

/**
 * crfs_proof_zombie - check that a zombie may be frozen: its parent is, in this session
 * @session: whose lock is held
 * @task: the zombie
 *
 * Return: 0 or -EPERM.
 */
int crfs_proof_zombie(struct crfs_session *session, struct task_struct *task)
{
	struct crfs_group *parent;
	struct pid *pid;
	int err = -EPERM;

	lockdep_assert_held(&session->lock);
	rcu_read_lock();
	pid = get_pid(task_tgid(rcu_dereference(task->real_parent)));
	rcu_read_unlock();
	list_for_each_entry(parent, &session->tasks, node) {
		if (parent->pid == pid)
			err = 0;
	}
	put_pid(pid);
	return err;
}
