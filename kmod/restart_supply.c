// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a restart gets as open files: those that are mapped, and those that hold memory.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "restart.h"

/* Files of both kinds together. */
#define CRFS_SUPPLIES_MAX (1U << 20)
/* Ranges of all spaces together: 32 bytes each. */
#define CRFS_RANGES_MAX (8U << 20)
#define CRFS_RANGES_AT_A_TIME (PAGE_SIZE / sizeof(struct crfs_fill))

/*
 * Files that can be mapped. Not sockets, io_uring and their like: one could hold the restart's
 * own descriptor, and neither would ever go.
 */
static bool crfs_can_map(struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	return file->f_op->mmap && (S_ISREG(mode) || S_ISCHR(mode) || S_ISBLK(mode)) &&
	       !crfs_is_anon_file(file);
}

/**
 * crfs_supply - take the file that stands for an object
 * @restart: open; its lock is held
 * @args: as in include/crfs/ioctl.h
 *
 * Return: 0; -EINVAL for another type, id, or kind of file; -EBADF; -EEXIST; -EFBIG; -ENOMEM.
 */
int crfs_supply(struct crfs_restart *restart, const struct crfs_ioc_supply *args)
{
	struct xarray *files;
	struct file *file;
	int err;

	if (args->flags || !args->id || args->id > CRFS_ID_MAX)
		return -EINVAL;
	if (args->type == CRFS_TAG_file)
		files = &restart->files;
	else if (args->type == CRFS_TAG_shmem)
		files = &restart->shmems;
	else
		return -EINVAL;
	if (restart->supplies >= CRFS_SUPPLIES_MAX)
		return -EFBIG;
	file = fget(args->fd);
	if (!file)
		return -EBADF;
	err = -EINVAL;
	if (crfs_can_map(file))
		err = xa_insert(files, args->id, file, GFP_KERNEL_ACCOUNT);
	if (err)
		fput(file);
	else
		restart->supplies++;
	return err == -EBUSY ? -EEXIST : err;
}

/* Finds or makes what is known of an mm record. */
struct crfs_space *crfs_space_of(struct crfs_restart *restart, u64 id)
{
	struct crfs_entry *entry = crfs_find_entry(&restart->records, CRFS_TAG_mm, id);

	if (!entry)
		return ERR_PTR(-ESRCH);
	if (!entry->attached) {
		struct crfs_space *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);

		if (!space)
			return ERR_PTR(-ENOMEM);
		space->id = id;
		mutex_init(&space->filling.lock);
		init_waitqueue_head(&space->filling.idle);
		entry->attached = space;
	}
	return entry->attached;
}

/* The file that a mapping maps: as a file if it was supplied as one. Null: none was. */
struct file *crfs_file_of(struct crfs_restart *restart, const struct crfs_vma *vma)
{
	struct file *file = vma->file ? xa_load(&restart->files, vma->file) : NULL;

	if (!file && vma->shmem)
		file = xa_load(&restart->shmems, vma->shmem);
	return file;
}

static int crfs_make_room(struct crfs_space *space)
{
	u64 room = max_t(u64, 64, space->range_room * 2);
	struct crfs_range *ranges;

	if (space->range_count < space->range_room)
		return 0;
	ranges = kvmalloc_array(room, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return -ENOMEM;
	if (space->range_count)
		memcpy(ranges, space->ranges, space->range_count * sizeof(*ranges));
	kvfree(space->ranges);
	space->ranges = ranges;
	space->range_room = room;
	return 0;
}

static int crfs_add_range(struct crfs_restart *restart, struct crfs_space *space,
			  const struct crfs_fill *fill)
{
	struct crfs_range *last, *range;
	u64 end, file_end;
	struct file *file;
	int err;

	if (fill->flags || !fill->length || !PAGE_ALIGNED(fill->address) ||
	    !PAGE_ALIGNED(fill->length) || fill->offset > S64_MAX ||
	    check_add_overflow(fill->address, fill->length, &end) || end > TASK_SIZE_MAX ||
	    check_add_overflow(fill->offset, fill->length, &file_end) || file_end > S64_MAX)
		return -EINVAL;
	last = space->range_count ? &space->ranges[space->range_count - 1] : NULL;
	if (last && fill->address < last->address + last->length)
		return -EINVAL;
	if (restart->fills >= CRFS_RANGES_MAX)
		return -EFBIG;
	err = crfs_make_room(space);
	if (err)
		return err;
	file = fget(fill->fd);
	if (!file)
		return -EBADF;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_PREAD) ||
	    !file->f_op->read_iter) {
		fput(file);
		return -EINVAL;
	}
	range = &space->ranges[space->range_count++];
	range->address = fill->address;
	range->length = fill->length;
	range->offset = fill->offset;
	range->file = file;
	range->stands = false;
	restart->fills++;
	return 0;
}

static int crfs_add_ranges(struct crfs_restart *restart, u64 mm, const struct crfs_fill *fills,
			   u32 count)
{
	struct crfs_space *space;
	int err;
	u32 i;

	if (mutex_lock_interruptible(&restart->lock))
		return -EINTR;
	err = crfs_check_open(restart);
	if (!err) {
		space = crfs_space_of(restart, mm);
		err = PTR_ERR_OR_ZERO(space);
	}
	for (i = 0; !err && i < count; i++)
		err = crfs_add_range(restart, space, &fills[i]);
	mutex_unlock(&restart->lock);
	return err;
}

/**
 * crfs_fill - take ranges of an mm and where their contents lie
 * @restart: whose lock is taken for some at a time, once they were copied
 * @args: as in include/crfs/ioctl.h
 *
 * Return: 0; -ESRCH without such a record; -EINVAL, -EBADF for a range, those before it
 * being taken; -EINVAL, -ENODEV when it is too late; -EFBIG; -EFAULT; -EINTR; -ENOMEM.
 */
int crfs_fill(struct crfs_restart *restart, const struct crfs_ioc_fill *args)
{
	const struct crfs_fill __user *from = u64_to_user_ptr(args->ranges);
	struct crfs_fill *fills;
	u32 done = 0, count;
	int err = 0;

	if (args->flags || args->reserved || !args->count || args->count > CRFS_FILL_MAX)
		return -EINVAL;
	fills = (struct crfs_fill *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!fills)
		return -ENOMEM;
	while (!err && done < args->count) {
		count = min_t(u32, args->count - done, CRFS_RANGES_AT_A_TIME);
		if (copy_from_user(fills, from + done, count * sizeof(*fills)))
			err = -EFAULT;
		else
			err = crfs_add_ranges(restart, args->mm, fills, count);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		done += count;
		cond_resched();
	}
	free_page((unsigned long)fills);
	return err;
}

/* Returns the descriptor of new shared memory, as mmap() without a file has it. */
int crfs_shmem_open(u64 length)
{
	struct file *file;
	int fd;

	if (!length || length > MAX_LFS_FILESIZE)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = shmem_file_setup("dev/zero", length, VM_NORESERVE);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_flags |= O_LARGEFILE;
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	/* It is memory, not a program: execve(2) of it is not for this to allow. */
	file_inode(file)->i_mode &= ~0111;
	fd_install(fd, file);
	return fd;
}

static void crfs_space_free(struct crfs_space *space)
{
	u64 i;

	for (i = 0; i < space->range_count; i++) {
		fput(space->ranges[i].file);
		cond_resched();
	}
	kvfree(space->ranges);
	kvfree(space->vmas);
	kfree(space);
}

/* Gives up all files and ranges. */
void crfs_supply_free(struct crfs_restart *restart)
{
	struct crfs_entries *mms = crfs_entries_of(&restart->records, CRFS_TAG_mm);
	struct file *file;
	unsigned long id;
	u64 i;

	xa_for_each(&restart->files, id, file)
		fput(file);
	xa_for_each(&restart->shmems, id, file)
		fput(file);
	xa_destroy(&restart->files);
	xa_destroy(&restart->shmems);
	for (i = 0; i < mms->count; i++) {
		if (mms->entries[i].attached)
			crfs_space_free(mms->entries[i].attached);
		mms->entries[i].attached = NULL;
	}
}
