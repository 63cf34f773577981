// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of one address space, or of one shared memory object, as a file.
 *
 * It does not keep the tasks frozen. What is copied counts only if the thaw had not begun
 * when it was done: the flag is looked at after each batch, so no lock is held while the
 * reader's own memory may fault.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "session.h"

/* Pages taken at a time: 2 MiB of them; their pointers fill a page. */
#define CRFS_BATCH (PAGE_SIZE / sizeof(struct page *))

struct crfs_memory {
	struct crfs_session *session;	/* with a reference */
	struct mm_struct *mm;		/* mm_count is held; null for shmem */
	struct file *shmem;		/* with a reference; null for an mm */
};

/* Holes are not filled: there FOLL_DUMP fails instead. */
static long crfs_take_pages(struct mm_struct *mm, unsigned long address, unsigned long count,
			    struct page **pages)
{
	int locked = 1;
	long taken;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	taken = crfs_get_pages(mm, address & PAGE_MASK, count, FOLL_FORCE | FOLL_DUMP, pages,
			       &locked);
	if (locked)
		mmap_read_unlock(mm);
	return taken ?: -EFAULT;
}

static void crfs_put_pages(struct page **pages, long count)
{
	long i;

	for (i = 0; i < count; i++)
		put_page(pages[i]);
}

/**
 * crfs_mm_read - copy memory of a task into the kernel's
 * @mm: mm_users is held
 * @address: of the task
 * @buffer: filled from the start
 * @length: of it
 *
 * Return: how much could be read before the first hole, or -EFAULT or -EINTR.
 */
ssize_t crfs_mm_read(struct mm_struct *mm, unsigned long address, void *buffer, size_t length)
{
	size_t done = 0;

	while (done < length) {
		size_t offset = offset_in_page(address + done);
		size_t part = min_t(size_t, length - done, PAGE_SIZE - offset);
		struct page *page;
		long taken = crfs_take_pages(mm, address + done, 1, &page);

		if (taken < 0)
			return done ?: taken;
		memcpy(buffer + done, page_address(page) + offset, part);
		put_page(page);
		done += part;
		cond_resched();
	}
	return done;
}

static size_t crfs_copy_page(struct page *page, size_t offset, size_t length,
			     struct iov_iter *iter)
{
	if (crfs_iter_takes_pages(iter))
		return copy_to_iter(page_address(page) + offset, length, iter);
	return copy_page_to_iter(page, offset, length, iter);
}

/* Copies one batch. Returns bytes copied, or an error if there was none. */
static ssize_t crfs_copy_batch(struct mm_struct *mm, unsigned long address, struct page **pages,
			       struct iov_iter *iter)
{
	size_t offset = offset_in_page(address);
	unsigned long count = DIV_ROUND_UP(offset + iov_iter_count(iter), PAGE_SIZE);
	ssize_t done = 0;
	long taken, i;

	taken = crfs_take_pages(mm, address, min_t(unsigned long, count, CRFS_BATCH), pages);
	if (taken < 0)
		return taken;
	for (i = 0; i < taken; i++) {
		size_t part = min_t(size_t, iov_iter_count(iter), PAGE_SIZE - offset);
		size_t copied = crfs_copy_page(pages[i], offset, part, iter);

		done += copied;
		if (copied != part)
			break;
		offset = 0;
	}
	crfs_put_pages(pages, taken);
	return done ?: -EFAULT;
}

static ssize_t crfs_read_mm(struct crfs_memory *memory, struct iov_iter *iter, loff_t *pos)
{
	struct page **pages;
	ssize_t done = 0, copied;

	if (*pos >= TASK_SIZE_MAX)
		return -EFAULT;
	pages = (struct page **)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	if (!mmget_not_zero(memory->mm)) {
		free_page((unsigned long)pages);
		return -ENODATA;
	}
	while (iov_iter_count(iter)) {
		copied = crfs_copy_batch(memory->mm, *pos, pages, iter);
		if (copied < 0) {
			done = done ?: copied;
			break;
		}
		/* The copy, then the flag. */
		smp_rmb();
		if (crfs_session_is_thawed(memory->session)) {
			done = -ENODATA;
			break;
		}
		*pos += copied;
		done += copied;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	mmput(memory->mm);
	free_page((unsigned long)pages);
	return done;
}

/* Up to 6.4, when the iterator takes pages instead of copying them. */
static ssize_t crfs_copy_shmem(struct file *file, struct iov_iter *iter, loff_t *pos)
{
	void *page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	ssize_t done = 0, part;

	if (!page)
		return -ENOMEM;
	while (iov_iter_count(iter)) {
		part = kernel_read(file, page, min_t(size_t, iov_iter_count(iter), PAGE_SIZE), pos);
		if (part <= 0) {
			done = done ?: part;
			break;
		}
		part = copy_to_iter(page, part, iter);
		if (!part)
			break;
		done += part;
	}
	free_page((unsigned long)page);
	return done;
}

/* Extents are whole pages: the rest of the last one, beyond the size, reads as zeros. */
static ssize_t crfs_read_shmem(struct crfs_memory *memory, struct iov_iter *iter, loff_t *pos)
{
	loff_t size = i_size_read(file_inode(memory->shmem));
	ssize_t done = 0;
	size_t rest;

	if (*pos < size) {
		if (crfs_iter_takes_pages(iter))
			done = crfs_copy_shmem(memory->shmem, iter, pos);
		else
			done = vfs_iter_read(memory->shmem, iter, pos, 0);
	}
	if (done >= 0 && *pos >= size && *pos < PAGE_ALIGN(size)) {
		rest = iov_iter_zero(min_t(size_t, PAGE_ALIGN(size) - *pos, iov_iter_count(iter)),
				     iter);
		*pos += rest;
		done += rest;
	}
	if (!done && iov_iter_count(iter))
		return *pos >= PAGE_ALIGN(size) ? 0 : -EFAULT;
	smp_rmb();
	return crfs_session_is_thawed(memory->session) ? -ENODATA : done;
}

static ssize_t crfs_memory_read(struct kiocb *kiocb, struct iov_iter *iter)
{
	struct crfs_memory *memory = kiocb->ki_filp->private_data;

	if (crfs_session_is_thawed(memory->session))
		return -ENODATA;
	if (!iov_iter_count(iter))
		return 0;
	if (memory->mm)
		return crfs_read_mm(memory, iter, &kiocb->ki_pos);
	return crfs_read_shmem(memory, iter, &kiocb->ki_pos);
}

static loff_t crfs_memory_seek(struct file *file, loff_t offset, int whence)
{
	switch (whence) {
	case SEEK_CUR:
		offset += file->f_pos;
		fallthrough;
	case SEEK_SET:
		return vfs_setpos(file, offset, S64_MAX);
	default:
		return -EINVAL;
	}
}

static void crfs_memory_free(struct crfs_memory *memory)
{
	if (memory->mm)
		mmdrop(memory->mm);
	if (memory->shmem)
		fput(memory->shmem);
	crfs_session_put(memory->session);
	kfree(memory);
}

static int crfs_memory_close(struct inode *inode, struct file *file)
{
	crfs_memory_free(file->private_data);
	return 0;
}

static const struct file_operations crfs_memory_operations = {
	.owner = THIS_MODULE,
	.read_iter = crfs_memory_read,
	.splice_read = crfs_splice_read,
	.llseek = crfs_memory_seek,
	.release = crfs_memory_close,
};

static struct crfs_memory *crfs_memory_create(struct crfs_session *session,
					      const struct crfs_ioc_memory *args)
{
	struct crfs_objects *objects = &session->objects;
	struct crfs_memory *memory;

	if (args->owner_type != CRFS_TAG_mm && args->owner_type != CRFS_TAG_shmem)
		return ERR_PTR(-EINVAL);
	if (!args->owner_id || args->owner_id > (args->owner_type == CRFS_TAG_mm
						 ? objects->mm.count : objects->shmem.count))
		return ERR_PTR(-ENOENT);
	memory = kzalloc(sizeof(*memory), GFP_KERNEL_ACCOUNT);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	memory->session = crfs_session_get(session);
	if (args->owner_type == CRFS_TAG_mm) {
		struct crfs_mm_source *mm = crfs_table_at(&objects->mm, args->owner_id);

		mmgrab(mm->mm);
		memory->mm = mm->mm;
	} else {
		struct crfs_shmem_source *shmem = crfs_table_at(&objects->shmem, args->owner_id);

		memory->shmem = get_file(shmem->file);
	}
	return memory;
}

/**
 * crfs_memory_open - a descriptor of the memory of one object
 * @session: whose lock is held; captured and not thawed
 * @args: as in include/crfs/ioctl.h
 *
 * Return: the descriptor; -ENOENT for an id that the records do not have; another error.
 */
int crfs_memory_open(struct crfs_session *session, const struct crfs_ioc_memory *args)
{
	struct crfs_memory *memory;
	struct file *file;
	int fd;

	lockdep_assert_held(&session->lock);
	memory = crfs_memory_create(session, args);
	if (IS_ERR(memory))
		return PTR_ERR(memory);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto free;
	file = anon_inode_getfile("[crfs-memory]", &crfs_memory_operations, memory, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto free;
	}
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD;
	fd_install(fd, file);
	return fd;
free:
	crfs_memory_free(memory);
	return fd;
}
