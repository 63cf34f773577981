// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open file descriptions, bare paths, and what stands behind them: pipes, shared memory,
 * tables of descriptors, file system attributes.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/pipe_fs_i.h>
#include <linux/shmem_fs.h>
#include <linux/stat.h>
#include <linux/string.h>

#include "compat.h"
#include "emit.h"

#define CRFS_PATH_ROOM (32U << 10)
#define CRFS_DELETED " (deleted)"

/*
 * The inode that /proc/PID/maps, fdinfo and mountinfo mean. What stat(2) tells of it may
 * bear other numbers (overlayfs, btrfs).
 */
static const struct inode *crfs_inode(const struct crfs_file_source *from)
{
	return from->file ? crfs_file_inode(from->file) : d_inode(from->path.dentry);
}

/* A device number as the schema has it. */
static u64 crfs_device(dev_t dev)
{
	return (u64)MAJOR(dev) << 32 | MINOR(dev);
}

/* The path as /proc shows it to the caller, in @buffer; empty if it does not fit. */
const char *crfs_path_name(const struct path *path, char *buffer, size_t size)
{
	const char *name = d_path(path, buffer, size);

	return IS_ERR(name) ? "" : name;
}

static bool crfs_begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* What an anonymous inode is, by the name its maker gave it. */
static u32 crfs_anon_inode_kind(const char *name)
{
	static const struct {
		const char *name;
		u32 kind;
	} names[] = {
		{ "[eventpoll]", CRFS_file_kind_epoll },
		{ "[eventfd", CRFS_file_kind_eventfd },
		{ "[timerfd]", CRFS_file_kind_timerfd },
		{ "[signalfd]", CRFS_file_kind_signalfd },
		{ "inotify", CRFS_file_kind_inotify },
		{ "[fanotify]", CRFS_file_kind_fanotify },
		{ "[pidfd]", CRFS_file_kind_pidfd },
		{ "[userfaultfd]", CRFS_file_kind_userfaultfd },
		{ "[io_uring]", CRFS_file_kind_io_uring },
		{ "bpf", CRFS_file_kind_bpf },
		{ "[perf_event]", CRFS_file_kind_perf_event },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (crfs_begins(name, names[i].name))
			return names[i].kind;
	}
	return CRFS_file_kind_other;
}

static bool crfs_is_tty(struct file *file)
{
	unsigned int major = imajor(file_inode(file));
	char name[64];

	/* The terminal drivers' majors are many; they share their operations. */
	snprintf(name, sizeof(name), "%ps", file->f_op);
	return strstr(name, "tty_fops") || strstr(name, "console_fops") || major == TTY_MAJOR ||
	       major == TTYAUX_MAJOR ||
	       (major >= UNIX98_PTY_MASTER_MAJOR &&
		major < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT);
}

static u32 crfs_regular_kind(struct file *file)
{
	return crfs_is_shmem(file) ? CRFS_file_kind_shmem : CRFS_file_kind_regular;
}

static u32 crfs_file_kind(struct file *file)
{
	const struct inode *inode = d_inode(crfs_file_path(file)->dentry);
	unsigned long magic = inode->i_sb->s_magic;

	if (file->f_mode & FMODE_PATH)
		return S_ISLNK(inode->i_mode) ? CRFS_file_kind_symlink : CRFS_file_kind_path;
	if (magic == ANON_INODE_FS_MAGIC)
		return crfs_anon_inode_kind(file->f_path.dentry->d_name.name);
	if (magic == NSFS_MAGIC)
		return CRFS_file_kind_ns;
	if (!strcmp(inode->i_sb->s_type->name, "pidfs"))
		return CRFS_file_kind_pidfd;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		return magic == PROC_SUPER_MAGIC ? CRFS_file_kind_proc : crfs_regular_kind(file);
	case S_IFDIR:
		return CRFS_file_kind_directory;
	case S_IFIFO:
		return magic == PIPEFS_MAGIC ? CRFS_file_kind_pipe : CRFS_file_kind_fifo;
	case S_IFSOCK:
		return CRFS_file_kind_socket;
	case S_IFCHR:
		return crfs_is_tty(file) ? CRFS_file_kind_tty : CRFS_file_kind_chardev;
	case S_IFBLK:
		return CRFS_file_kind_blockdev;
	default:
		return CRFS_file_kind_other;
	}
}

static u32 crfs_owner_signal(struct file *file)
{
	struct fown_struct *owner = file ? crfs_file_owner(file) : NULL;

	return owner ? owner->signum : 0;
}

static s32 crfs_owner_pid(struct file *file)
{
	struct fown_struct *owner = file ? crfs_file_owner(file) : NULL;
	s32 pid = 0;

	if (!owner)
		return 0;
	read_lock_irq(&owner->lock);
	if (owner->pid)
		pid = pid_vnr(owner->pid);
	if (owner->pid_type == PIDTYPE_PGID)
		pid = -pid;
	read_unlock_irq(&owner->lock);
	return pid;
}

/* As F_GETFL, without the kernel's inner flags and what belongs to a descriptor. */
static u32 crfs_open_flags(const struct file *file)
{
	return file ? file->f_flags & (O_ACCMODE | VALID_OPEN_FLAGS | O_LARGEFILE) & ~O_CLOEXEC
		    : 0;
}

static s64 crfs_mtime(const struct crfs_file_source *from)
{
	return S_ISREG(from->stat->mode) ? timespec64_to_ns(&from->stat->mtime) : 0;
}

CRFS_GET(file, kind, from->kind)
CRFS_GET(file, flags, crfs_open_flags(from->file))
CRFS_GET(file, pos, from->file ? from->file->f_pos : 0)
CRFS_GET(file, mode, from->stat->mode)
CRFS_GET(file, deleted, from->deleted)
CRFS_GET(file, nlink, from->stat->nlink)
CRFS_GET(file, dev, crfs_device(crfs_inode(from)->i_sb->s_dev))
CRFS_GET(file, inode, crfs_inode(from)->i_ino)
CRFS_GET(file, rdev, crfs_device(from->stat->rdev))
CRFS_GET(file, size, S_ISREG(from->stat->mode) ? from->stat->size : 0)
CRFS_GET(file, mtime, crfs_mtime(from))
CRFS_GET(file, pipe, from->pipe)
CRFS_GET(file, shmem, from->shmem)
CRFS_GET(file, owner_signal, crfs_owner_signal(from->file))
CRFS_GET(file, owner_pid, crfs_owner_pid(from->file))

CRFS_GET_BYTES(file, path)
{
	return crfs_body_append(body, from->name, strlen(from->name));
}

static CRFS_DEFINE_NAMED_EMITTER(file, crfs_emit_filled_file)

/* The name without its mark, and whether it had one that the kernel put there. */
static bool crfs_strip_deleted(char *name, const struct crfs_file_source *file)
{
	size_t length = strlen(name), mark = strlen(CRFS_DELETED);

	if (!d_unlinked(file->path.dentry) && !(file->file && crfs_is_shmem(file->file)))
		return false;
	if (length >= mark && !strcmp(name + length - mark, CRFS_DELETED))
		name[length - mark] = '\0';
	return true;
}

/* What can be known of an inode whose file system does not answer. */
static void crfs_stat_inode(const struct inode *inode, struct kstat *stat)
{
	memset(stat, 0, sizeof(*stat));
	stat->mode = inode->i_mode;
	stat->nlink = inode->i_nlink;
	stat->rdev = inode->i_rdev;
	stat->size = i_size_read(inode);
}

CRFS_DECLARE_EMITTER(file)
{
	struct crfs_file_source file = *from;
	struct kstat stat = {};
	char *buffer;
	int err;

	buffer = kvmalloc(CRFS_PATH_ROOM, GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	/* No request to a server: it may be one of the tasks that are frozen. */
	err = vfs_getattr_nosec(&file.path, &stat, STATX_BASIC_STATS, AT_STATX_DONT_SYNC);
	if (err)
		crfs_stat_inode(d_inode(file.path.dentry), &stat);
	file.stat = &stat;
	file.kind = file.file ? crfs_file_kind(file.file) : CRFS_file_kind_path;
	file.name = crfs_path_name(&file.path, buffer, CRFS_PATH_ROOM);
	file.deleted = crfs_strip_deleted((char *)file.name, &file);
	err = crfs_emit_filled_file(emitter, id, &file);
	kvfree(buffer);
	return err;
}

CRFS_GET(pipe, inode, from->inode->i_ino)
CRFS_GET(pipe, capacity, (u64)from->pipe->max_usage * PAGE_SIZE)
CRFS_GET(pipe, readers, READ_ONCE(from->pipe->readers))
CRFS_GET(pipe, writers, READ_ONCE(from->pipe->writers))
CRFS_DEFINE_EMITTER(pipe)

CRFS_GET(shmem, inode, file_inode(from->file)->i_ino)
CRFS_GET(shmem, dev, crfs_device(file_inode(from->file)->i_sb->s_dev))
CRFS_GET(shmem, size, i_size_read(file_inode(from->file)))
CRFS_GET(shmem, seals, SHMEM_I(file_inode(from->file))->seals)
CRFS_GET(shmem, sysv, crfs_begins(from->file->f_path.dentry->d_name.name, "SYSV"))

CRFS_GET_BYTES(shmem, name)
{
	char *buffer = kmalloc(PATH_MAX, GFP_KERNEL_ACCOUNT);
	const char *name;
	int err;

	if (!buffer)
		return -ENOMEM;
	name = crfs_path_name(&from->file->f_path, buffer, PATH_MAX);
	err = crfs_body_append(body, name, strlen(name));
	kfree(buffer);
	return err;
}

CRFS_DEFINE_EMITTER(shmem)

CRFS_GET(fs, umask, from->umask)
CRFS_GET(fs, cwd, from->cwd)
CRFS_GET(fs, root, from->root)
CRFS_DEFINE_EMITTER(fs)

CRFS_GET(fdtable, size, from->size)
CRFS_DEFINE_EMITTER(fdtable)

CRFS_GET(fd, fdtable, from->fdtable)
CRFS_GET(fd, fd, from->fd)
CRFS_GET(fd, cloexec, from->cloexec)
CRFS_GET(fd, file, from->file)
CRFS_DEFINE_EMITTER(fd)
