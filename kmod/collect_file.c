// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files, bare paths, and the tables that hold them.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "objects.h"

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

int crfs_collect_files(struct crfs_objects *objects, struct task_struct *task, u64 *id)
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

int crfs_collect_fs(struct crfs_objects *objects, struct task_struct *task, u64 *id)
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
