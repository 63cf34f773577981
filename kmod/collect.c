// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first pass of a capture: who refers to what. Ids are given in the order of first
 * encounter, task by task.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/list_sort.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "compat.h"
#include "session.h"

/* An inode of the kernel's own mount of shmem, which no path leads to. */
bool crfs_is_shmem(struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISREG(inode->i_mode) && inode->i_sb->s_magic == TMPFS_MAGIC &&
	       inode->i_sb->s_flags & SB_KERNMOUNT;
}

bool crfs_is_memfd(struct file *file)
{
	return crfs_is_shmem(file) &&
	       !strncmp(file->f_path.dentry->d_name.name, "memfd:", strlen("memfd:"));
}

/*
 * A file of its own for its pages: looking for holes moves the position of the target's,
 * and the one of a System V mapping does not read.
 */
int crfs_collect_shmem(struct crfs_objects *objects, struct file *file, u64 *id)
{
	struct crfs_key key = { file_inode(file) };
	struct crfs_shmem_source *shmem;
	struct file *opened;

	*id = crfs_table_find(&objects->shmem, key);
	if (*id)
		return 0;
	opened = dentry_open(&file->f_path, O_RDONLY | O_LARGEFILE | O_NOATIME, current_cred());
	if (IS_ERR(opened))
		return PTR_ERR(opened);
	shmem = crfs_table_add_key(&objects->shmem, key);
	if (!shmem) {
		fput(opened);
		return -ENOMEM;
	}
	shmem->file = opened;
	*id = objects->shmem.count;
	return 0;
}

static int crfs_collect_pipe(struct crfs_objects *objects, struct file *file, u64 *id)
{
	struct crfs_key key = { file_inode(file) };
	struct crfs_pipe_source *pipe;

	*id = 0;
	if (!S_ISFIFO(file_inode(file)->i_mode) || file->f_mode & FMODE_PATH)
		return 0;
	*id = crfs_table_find(&objects->pipe, key);
	if (*id)
		return 0;
	pipe = crfs_table_add_key(&objects->pipe, key);
	if (!pipe)
		return -ENOMEM;
	pipe->inode = file_inode(file);
	pipe->pipe = file->private_data;
	*id = objects->pipe.count;
	return 0;
}

/**
 * crfs_collect_file - find or add an open file description
 * @objects: where
 * @file: a reference is taken if it is new
 * @id: out
 *
 * Return: 0 or an error.
 */
int crfs_collect_file(struct crfs_objects *objects, struct file *file, u64 *id)
{
	struct crfs_key key = { file };
	struct crfs_file_source *entry;
	u64 pipe, shmem = 0;
	int err;

	*id = crfs_table_find(&objects->file, key);
	if (*id)
		return 0;
	err = crfs_collect_pipe(objects, file, &pipe);
	if (!err && crfs_is_shmem(file))
		err = crfs_collect_shmem(objects, file, &shmem);
	if (err)
		return err;
	entry = crfs_table_add_key(&objects->file, key);
	if (!entry)
		return -ENOMEM;
	entry->file = get_file(file);
	entry->path = *crfs_file_path(file);
	entry->pipe = pipe;
	entry->shmem = shmem;
	*id = objects->file.count;
	return 0;
}

/* Takes over the reference to @path, also when it fails. */
static int crfs_collect_path(struct crfs_objects *objects, struct path *path, u64 *id)
{
	struct crfs_key key = { path->dentry, path->mnt };
	struct crfs_file_source *entry;

	*id = crfs_table_find(&objects->file, key);
	if (*id) {
		path_put(path);
		return 0;
	}
	entry = crfs_table_add_key(&objects->file, key);
	if (!entry) {
		path_put(path);
		return -ENOMEM;
	}
	entry->path = *path;
	*id = objects->file.count;
	return 0;
}

struct crfs_fd_array {
	struct crfs_open_fd {
		struct file *file;	/* with a reference */
		u32 fd;
		bool cloexec;
	} *fds;
	const struct files_struct *files;
	unsigned int count;
	unsigned int room;
};

/* Under the table's file_lock: takes references, no more. */
static int crfs_note_fd(const void *context, struct file *file, unsigned int fd)
{
	struct crfs_fd_array *array = (struct crfs_fd_array *)context;
	const struct fdtable *table;

	if (array->count < array->room) {
		table = rcu_dereference_raw(array->files->fdt);
		array->fds[array->count] = (struct crfs_open_fd) {
			.file = get_file(file),
			.fd = fd,
			.cloexec = test_bit(fd, table->close_on_exec),
		};
	}
	array->count++;
	return 0;
}

static void crfs_put_fds(struct crfs_fd_array *array)
{
	unsigned int i;

	for (i = 0; i < min(array->count, array->room); i++)
		fput(array->fds[i].file);
	kvfree(array->fds);
	array->fds = NULL;
}

/*
 * Takes a reference to each open file. On success @key is the files_struct, or null for a
 * task that has none, and @size the number of its slots.
 */
static int crfs_get_fds(struct task_struct *task, struct crfs_fd_array *array,
			struct crfs_key *key, u64 *size)
{
	struct files_struct *files;
	unsigned int room = 64;

	for (;;) {
		array->fds = kvmalloc_array(room, sizeof(*array->fds), GFP_KERNEL_ACCOUNT);
		if (!array->fds)
			return -ENOMEM;
		array->room = room;
		array->count = 0;
		task_lock(task);
		files = task->files;
		array->files = files;
		if (files) {
			iterate_fd(files, 0, crfs_note_fd, array);
			rcu_read_lock();
			*size = files_fdtable(files)->max_fds;
			rcu_read_unlock();
		}
		task_unlock(task);
		key->first = files;
		if (array->count <= array->room)
			return 0;
		room = array->count + 64;
		crfs_put_fds(array);
	}
}

static int crfs_collect_files(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	struct crfs_fdtable_source *table;
	struct crfs_fd_array array;
	struct crfs_fd_source *entry;
	struct crfs_key key = {};
	unsigned int i;
	u64 size = 0, file;
	int err;

	key.first = READ_ONCE(task->files);
	*id = key.first ? crfs_table_find(&objects->fdtable, key) : 0;
	if (*id)
		return 0;
	err = crfs_get_fds(task, &array, &key, &size);
	if (err)
		return err;
	err = -ESRCH;
	if (!key.first)
		goto put;
	err = -ENOMEM;
	table = crfs_table_add_key(&objects->fdtable, key);
	if (!table)
		goto put;
	table->size = size;
	*id = objects->fdtable.count;
	for (i = 0; i < array.count; i++) {
		err = crfs_collect_file(objects, array.fds[i].file, &file);
		if (err)
			goto put;
		err = -ENOMEM;
		entry = crfs_table_add(&objects->fd);
		if (!entry)
			goto put;
		entry->fdtable = *id;
		entry->file = file;
		entry->fd = array.fds[i].fd;
		entry->cloexec = array.fds[i].cloexec;
	}
	err = 0;
put:
	crfs_put_fds(&array);
	return err;
}

static int crfs_collect_fs(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	struct crfs_key key = {};
	struct crfs_fs_source *entry;
	struct fs_struct *fs;
	struct path cwd, root;
	u64 cwd_id, root_id;
	u32 umask = 0;
	int err;

	task_lock(task);
	fs = task->fs;
	key.first = fs;
	if (fs) {
		get_fs_pwd(fs, &cwd);
		get_fs_root(fs, &root);
		umask = fs->umask;
	}
	task_unlock(task);
	if (!fs)
		return -ESRCH;
	*id = crfs_table_find(&objects->fs, key);
	if (*id) {
		path_put(&cwd);
		path_put(&root);
		return 0;
	}
	err = crfs_collect_path(objects, &cwd, &cwd_id);
	if (err) {
		path_put(&root);
		return err;
	}
	err = crfs_collect_path(objects, &root, &root_id);
	if (err)
		return err;
	entry = crfs_table_add_key(&objects->fs, key);
	if (!entry)
		return -ENOMEM;
	entry->umask = umask;
	entry->cwd = cwd_id;
	entry->root = root_id;
	*id = objects->fs.count;
	return 0;
}

/* Those that are not the default. */
static int crfs_collect_actions(struct crfs_objects *objects, struct sigaction *actions,
				u64 sighand)
{
	struct crfs_sigaction_source *entry;
	int signal;

	for (signal = 1; signal <= _NSIG; signal++) {
		struct sigaction *action = &actions[signal - 1];

		if (action->sa_handler == SIG_DFL && !action->sa_flags &&
		    sigisemptyset(&action->sa_mask))
			continue;
		entry = crfs_table_add(&objects->sigaction);
		if (!entry)
			return -ENOMEM;
		entry->sighand = sighand;
		entry->signal = signal;
		entry->action = *action;
	}
	return 0;
}

static int crfs_collect_sighand(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	struct sighand_struct *sighand;
	struct crfs_key key = {};
	struct sigaction *actions;
	unsigned long flags;
	int signal, err = 0;

	actions = kmalloc_array(_NSIG, sizeof(*actions), GFP_KERNEL_ACCOUNT);
	if (!actions)
		return -ENOMEM;
	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand) {
		kfree(actions);
		return -ESRCH;
	}
	key.first = sighand;
	for (signal = 1; signal <= _NSIG; signal++)
		actions[signal - 1] = sighand->action[signal - 1].sa;
	spin_unlock_irqrestore(&sighand->siglock, flags);

	*id = crfs_table_find(&objects->sighand, key);
	if (!*id) {
		if (crfs_table_add_key(&objects->sighand, key)) {
			*id = objects->sighand.count;
			err = crfs_collect_actions(objects, actions, *id);
		} else {
			err = -ENOMEM;
		}
	}
	kfree(actions);
	return err;
}

static int crfs_collect_cred(struct crfs_objects *objects, struct task_struct *task, u64 *id)
{
	const struct cred *cred = get_task_cred(task);
	struct crfs_key key = { cred };
	struct crfs_cred_source *entry;

	*id = crfs_table_find(&objects->cred, key);
	if (*id) {
		put_cred(cred);
		return 0;
	}
	entry = crfs_table_add_key(&objects->cred, key);
	if (!entry) {
		put_cred(cred);
		return -ENOMEM;
	}
	entry->cred = cred;
	*id = objects->cred.count;
	return 0;
}

static int crfs_collect_thread(struct crfs_objects *objects, struct crfs_member *thread,
			       u64 task_id)
{
	struct crfs_thread_source *entry;
	u64 cred, id;
	int err;

	err = crfs_collect_cred(objects, thread->task, &cred);
	if (err)
		return err;
	entry = crfs_table_add(&objects->thread);
	if (!entry)
		return -ENOMEM;
	id = objects->thread.count;
	entry->thread = thread;
	entry->task = task_id;
	entry->cred = cred;
	return crfs_collect_signals(objects, &objects->thread_signal, thread->task, false, id);
}

static int crfs_compare_tids(void *unused, const struct list_head *a, const struct list_head *b)
{
	u32 left = list_entry(a, struct crfs_member, node)->tid;
	u32 right = list_entry(b, struct crfs_member, node)->tid;

	return left < right ? -1 : left > right;
}

/* The thread that stands for what all of a group share: the leader, or any that
 * still lives. */
static struct task_struct *crfs_representative(struct crfs_group *task)
{
	struct crfs_member *thread;

	if (!READ_ONCE(task->leader->exit_state))
		return task->leader;
	list_for_each_entry(thread, &task->threads, node) {
		if (!READ_ONCE(thread->task->exit_state))
			return thread->task;
	}
	return NULL;
}

static int crfs_collect_task(struct crfs_objects *objects, struct crfs_group *task)
{
	struct task_struct *lives = crfs_representative(task);
	struct crfs_task_source entry = { .task = task };
	struct crfs_member *thread;
	void *room;
	u64 id;
	int err;

	if (task->mm) {
		if (!lives)
			return -ESRCH;
		err = crfs_collect_mm(objects, task->mm, &entry.mm);
		if (!err)
			err = crfs_collect_files(objects, lives, &entry.fd);
		if (!err)
			err = crfs_collect_fs(objects, lives, &entry.fs);
		if (!err)
			err = crfs_collect_sighand(objects, lives, &entry.sighand);
		if (err)
			return err;
	}
	room = crfs_table_add(&objects->task);
	if (!room)
		return -ENOMEM;
	memcpy(room, &entry, sizeof(entry));
	id = objects->task.count;
	err = crfs_collect_signals(objects, &objects->signal, lives ?: task->leader, true, id);
	if (err)
		return err;

	list_for_each_entry(thread, &task->threads, node)
		thread->tid = task_pid_nr_ns(thread->task, task_active_pid_ns(current));
	list_sort(NULL, &task->threads, crfs_compare_tids);
	list_for_each_entry(thread, &task->threads, node) {
		err = crfs_collect_thread(objects, thread, id);
		if (err)
			return err;
	}
	return 0;
}

int crfs_collect(struct crfs_session *session, struct crfs_group **fault)
{
	struct crfs_group *task;
	int err;

	lockdep_assert_held(&session->lock);
	list_for_each_entry(task, &session->tasks, node) {
		err = crfs_collect_task(&session->objects, task);
		if (err) {
			*fault = task;
			return err;
		}
	}
	return 0;
}
