// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory is read straight from its file into the pages of the space, whatever their
 * protection: one copy, a piece of pages at a time, by the builder of the space and by
 * helpers of the holder.
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "restart.h"

/* 2 MiB at most: what a table of pages covers. */
#define CRFS_FILL_PAGES PTRS_PER_PTE

struct crfs_piece {
	const struct crfs_range *range;
	u64 done;		/* where it begins in the range, bytes */
	unsigned long count;	/* pages, all below the same table */
};

/* What a piece needs while it is filled. */
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

/* Fills some pages of a piece, from @first on. Returns how many, or an error. */
static long crfs_fill_pages(struct mm_struct *mm, const struct crfs_piece *piece,
			    unsigned long first, struct crfs_batch *batch)
{
	u64 done = piece->done + ((u64)first << PAGE_SHIFT);
	long taken, i;
	int err;

	taken = crfs_take_new_pages(mm, piece->range->address + done, piece->count - first,
				    batch->pages);
	if (taken < 0)
		return taken;
	for (i = 0; i < taken; i++) {
		batch->parts[i].bv_page = batch->pages[i];
		batch->parts[i].bv_len = PAGE_SIZE;
		batch->parts[i].bv_offset = 0;
	}
	err = crfs_read_into(piece->range->file, piece->range->offset + done, batch, taken);
	for (i = 0; i < taken; i++) {
		if (!err)
			set_page_dirty_lock(batch->pages[i]);
		put_page(batch->pages[i]);
	}
	return err ?: taken;
}

static int crfs_fill_piece(struct mm_struct *mm, const struct crfs_piece *piece,
			   struct crfs_batch *batch)
{
	unsigned long first = 0;
	long filled;

	while (first < piece->count) {
		if (fatal_signal_pending(current))
			return -EINTR;
		filled = crfs_fill_pages(mm, piece, first, batch);
		if (filled < 0)
			return filled;
		first += filled;
		cond_resched();
	}
	return 0;
}

/* Looks for the next piece, of this pass or not: is there one? */
static bool crfs_advance(struct crfs_space *space, struct crfs_piece *piece)
{
	struct crfs_filling *filling = &space->filling;
	const struct crfs_range *range;
	unsigned long address, here;

	while (filling->range < space->range_count) {
		range = &space->ranges[filling->range];
		if (filling->done == range->length || range->stands) {
			filling->range++;
			filling->done = 0;
			continue;
		}
		address = range->address + filling->done;
		here = (PMD_SIZE - (address & ~PMD_MASK)) >> PAGE_SHIFT;
		piece->range = range;
		piece->done = filling->done;
		piece->count = min_t(u64, (range->length - filling->done) >> PAGE_SHIFT, here);
		filling->done += (u64)piece->count << PAGE_SHIFT;
		return true;
	}
	return false;
}

static bool crfs_take_piece(struct crfs_space *space, struct crfs_piece *piece)
{
	struct crfs_filling *filling = &space->filling;
	bool found = false;

	mutex_lock(&filling->lock);
	while (filling->open && !found) {
		if (!crfs_advance(space, piece))
			WRITE_ONCE(filling->open, false);
		else
			found = (piece->count == CRFS_FILL_PAGES) == filling->huge;
		cond_resched();
	}
	if (found)
		WRITE_ONCE(filling->busy, filling->busy + 1);
	mutex_unlock(&filling->lock);
	return found;
}

static void crfs_end_piece(struct crfs_space *space, const struct crfs_piece *piece, int err)
{
	struct crfs_filling *filling = &space->filling;

	mutex_lock(&filling->lock);
	if (err && !filling->err) {
		filling->err = err;
		filling->address = piece->range->address + piece->done;
		WRITE_ONCE(filling->open, false);
	}
	WRITE_ONCE(filling->busy, filling->busy - 1);
	mutex_unlock(&filling->lock);
	wake_up(&filling->idle);
}

/* Until none is left, or one has failed. */
static void crfs_fill_pieces(struct crfs_space *space, struct mm_struct *mm,
			     struct crfs_batch *batch)
{
	struct crfs_piece piece;

	while (crfs_take_piece(space, &piece))
		crfs_end_piece(space, &piece, crfs_fill_piece(mm, &piece, batch));
}

/*
 * Fills all pieces of one kind. Huge pages come where all of one is filled: elsewhere one
 * would be memory that the program did not have. So nobody fills pieces of both kinds at the
 * same time.
 */
static int crfs_fill_kind(struct crfs_restart *restart, struct crfs_space *space, bool huge,
			  struct crfs_batch *batch)
{
	struct crfs_filling *filling = &space->filling;

	crfs_allow_huge(current->mm, huge);
	mutex_lock(&filling->lock);
	filling->huge = huge;
	filling->range = 0;
	filling->done = 0;
	WRITE_ONCE(filling->open, true);
	mutex_unlock(&filling->lock);
	wake_up_all(&restart->help);
	crfs_fill_pieces(space, current->mm, batch);
	if (!wait_event_killable(filling->idle, !READ_ONCE(filling->busy)))
		return filling->err;
	mutex_lock(&filling->lock);
	WRITE_ONCE(filling->open, false);
	mutex_unlock(&filling->lock);
	return -EINTR;
}

/* What is given for a vdso that stands in its place is what it has anyway. */
static void crfs_leave_out_vdso(struct crfs_space *space)
{
	u64 at = 0, i;

	for (i = 0; i < space->range_count; i++) {
		struct crfs_range *range = &space->ranges[i];

		while (((const struct crfs_vma *)space->vmas[at]->wire)->end <= range->address)
			at++;
		range->stands = crfs_is_own_vdso(current->mm, space->vmas[at]->wire);
	}
}

static void crfs_blame_mapping(struct crfs_space *space, u64 address)
{
	u64 at = 0;

	while (((const struct crfs_vma *)space->vmas[at]->wire)->end <= address)
		at++;
	space->fault.type = CRFS_TAG_vma;
	space->fault.id = space->vmas[at]->id;
	space->fault.detail = address;
}

/**
 * crfs_fill_space - fill all ranges of a space, with whoever helps
 * @restart: gathered
 * @space: mapped; of the calling thread
 *
 * Return: 0; -ENODATA: a file is too short; another error of reading it; -ENOMEM; -EINTR.
 * The mapping at fault is in the space.
 */
int crfs_fill_space(struct crfs_restart *restart, struct crfs_space *space)
{
	struct crfs_batch *batch;
	int err;

	if (!space->range_count)
		return 0;
	batch = kvmalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	crfs_leave_out_vdso(space);
	err = crfs_fill_kind(restart, space, true, batch);
	if (!err)
		err = crfs_fill_kind(restart, space, false, batch);
	if (err && space->filling.err)
		crfs_blame_mapping(space, space->filling.address);
	kvfree(batch);
	return err;
}

/* The first space that has pieces to take, or null. */
static struct crfs_space *crfs_open_space(struct crfs_restart *restart)
{
	struct crfs_entries *mms = crfs_entries_of(&restart->records, CRFS_TAG_mm);
	u64 i;

	for (i = 0; i < mms->count; i++) {
		struct crfs_space *space = mms->entries[i].attached;

		if (space && READ_ONCE(space->filling.open))
			return space;
	}
	return NULL;
}

/* The mm of a space, with a reference, as its builder may die meanwhile; null: all is taken. */
static struct mm_struct *crfs_mm_to_fill(struct crfs_space *space)
{
	struct mm_struct *mm = NULL;

	mutex_lock(&space->filling.lock);
	/* So the builder lives, and has it. */
	if (space->filling.open) {
		mm = space->mm;
		mmget(mm);
	}
	mutex_unlock(&space->filling.lock);
	return mm;
}

static void crfs_help_space(struct crfs_space *space, struct crfs_batch *batch)
{
	struct mm_struct *mm = crfs_mm_to_fill(space);

	if (!mm)
		return;
	crfs_fill_pieces(space, mm, batch);
	mmput(mm);
}

static bool crfs_is_building(struct crfs_restart *restart)
{
	return smp_load_acquire(&restart->step) == CRFS_RESTART_GATHERED &&
	       !READ_ONCE(restart->ending);
}

/**
 * crfs_help - fill memory of the spaces that are being built, until that is over
 * @restart: whose lock is not held: BUILD has it
 * @args: as in include/crfs/ioctl.h
 *
 * Return: 0, or an error as listed there.
 */
int crfs_help(struct crfs_restart *restart, const struct crfs_ioc_help *args)
{
	enum crfs_restart_step step = smp_load_acquire(&restart->step);
	struct crfs_batch *batch;
	struct crfs_space *space;
	int err = 0;

	if (step == CRFS_RESTART_OVER)
		return -ENODEV;
	if (args->flags || step != CRFS_RESTART_GATHERED)
		return -EINVAL;
	batch = kvmalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	while (!err && crfs_is_building(restart)) {
		space = crfs_open_space(restart);
		if (space)
			crfs_help_space(space, batch);
		else
			err = wait_event_interruptible(restart->help,
						       crfs_open_space(restart) ||
							       !crfs_is_building(restart));
		if (signal_pending(current))
			err = -EINTR;
	}
	kvfree(batch);
	return err;
}
