// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory is read straight from its file into the pages of the space, whatever their
 * protection: one copy, by batches of pages.
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "restart.h"

/* 2 MiB at a time: what a table of pages covers. */
#define CRFS_FILL_PAGES PTRS_PER_PTE

struct crfs_batch {
	struct page *pages[CRFS_FILL_PAGES];
	struct bio_vec parts[CRFS_FILL_PAGES];
};

static long crfs_take_new_pages(struct mm_struct *mm, unsigned long address, unsigned long count,
				struct page **pages)
{
	int locked = 1;
	long taken;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	taken = crfs_get_pages(mm, address, count, FOLL_FORCE | FOLL_WRITE, pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return taken ?: -EFAULT;
}

/* A file that ends before it should has lost memory that it had. */
static int crfs_read_into(struct file *file, loff_t offset, struct crfs_batch *batch, long count)
{
	struct iov_iter iter;
	ssize_t done;

	iov_iter_bvec(&iter, ITER_DEST, batch->parts, count, (size_t)count << PAGE_SHIFT);
	while (iov_iter_count(&iter)) {
		done = vfs_iter_read(file, &iter, &offset, 0);
		if (done < 0)
			return done;
		if (!done)
			return -ENODATA;
	}
	return 0;
}

/*
 * A huge page comes where all of it is filled: elsewhere it would be memory that the program
 * did not have. crfs_set_mm() sets the flag to what it is to be.
 */
static void crfs_allow_huge(struct mm_struct *mm, bool allow)
{
	if (allow)
		clear_bit(MMF_DISABLE_THP, &mm->flags);
	else
		set_bit(MMF_DISABLE_THP, &mm->flags);
}

/* Fills what it can take at a time. Returns how many pages, or an error. */
static long crfs_fill_batch(struct mm_struct *mm, const struct crfs_range *range, u64 done,
			    struct crfs_batch *batch)
{
	unsigned long address = range->address + done;
	unsigned long here = (PMD_SIZE - (address & ~PMD_MASK)) >> PAGE_SHIFT;
	unsigned long count = min_t(u64, (range->length - done) >> PAGE_SHIFT, here);
	long taken, i;
	int err;

	crfs_allow_huge(mm, count == CRFS_FILL_PAGES);
	taken = crfs_take_new_pages(mm, address, count, batch->pages);
	if (taken < 0)
		return taken;
	for (i = 0; i < taken; i++) {
		batch->parts[i].bv_page = batch->pages[i];
		batch->parts[i].bv_len = PAGE_SIZE;
		batch->parts[i].bv_offset = 0;
	}
	err = crfs_read_into(range->file, range->offset + done, batch, taken);
	for (i = 0; i < taken; i++) {
		if (!err)
			set_page_dirty_lock(batch->pages[i]);
		put_page(batch->pages[i]);
	}
	return err ?: taken;
}

static int crfs_fill_range(struct crfs_space *space, const struct crfs_range *range,
			   struct crfs_batch *batch)
{
	u64 done = 0;

	while (done < range->length) {
		long filled = crfs_fill_batch(current->mm, range, done, batch);

		if (filled < 0) {
			space->fault.detail = range->address + done;
			return filled;
		}
		done += (u64)filled << PAGE_SHIFT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * crfs_fill_space - fill all ranges of a space
 * @space: mapped; of the calling thread
 *
 * What is given for a vdso that stands in its place is what it has anyway, and left out.
 *
 * Return: 0; -ENODATA: a file is too short; another error of reading it; -ENOMEM; -EINTR.
 * The mapping at fault is in the space.
 */
int crfs_fill_space(struct crfs_space *space)
{
	struct crfs_batch *batch;
	u64 at = 0, i;
	int err = 0;

	batch = kvmalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	for (i = 0; !err && i < space->range_count; i++) {
		const struct crfs_range *range = &space->ranges[i];
		const struct crfs_vma *vma = space->vmas[at]->wire;

		while (vma->end <= range->address)
			vma = space->vmas[++at]->wire;
		if (crfs_is_own_vdso(current->mm, vma))
			continue;
		err = crfs_fill_range(space, range, batch);
		if (err) {
			space->fault.type = CRFS_TAG_vma;
			space->fault.id = space->vmas[at]->id;
		}
	}
	kvfree(batch);
	return err;
}
