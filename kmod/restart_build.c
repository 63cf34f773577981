// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space is emptied and its mappings are made anew, by a parked thread of it.
 *
 * Flags that mmap() has no argument for are given to it as those of all new mappings
 * (mm->def_flags), so the kernel's own checks, merging and accounting see them.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "objects.h"
#include "restart.h"

/* Flags of new mappings: mmap() has no argument for them. */
#define CRFS_VM_DEFAULTS                                                                      \
	(VM_LOCKED | VM_LOCKONFAULT | VM_SEQ_READ | VM_RAND_READ | VM_DONTCOPY |              \
	 VM_WIPEONFORK | VM_DONTDUMP | VM_HUGEPAGE | VM_NOHUGEPAGE | VM_MERGEABLE |           \
	 CRFS_VM_SEALED | CRFS_VM_DROPPABLE)

/* It tells a mapping from its neighbour below while they are made: else they would merge. */
#define CRFS_VM_SEAM VM_DONTDUMP

/* Flags that follow from the machine's overcommit policy. */
#define CRFS_VM_IGNORED (BIT_ULL(CRFS_vma_flags_ac) | BIT_ULL(CRFS_vma_flags_nr))

static bool crfs_is_special(struct vm_area_struct *vma, const char *prefix)
{
	const char *name = !vma->vm_file && vma->vm_ops && vma->vm_ops->name
				   ? vma->vm_ops->name(vma) : NULL;

	return name && !strncmp(name, prefix, strlen(prefix));
}

static bool crfs_is_kept(struct vm_area_struct *vma)
{
	return crfs_is_special(vma, "[vdso]") || crfs_is_special(vma, "[vvar");
}

/* Finds the next part of the address space that is not the kernel's own. */
static bool crfs_next_gap(struct mm_struct *mm, unsigned long *start, unsigned long *end)
{
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(mm);
	for (;;) {
		vma = find_vma(mm, *start);
		if (!vma)
			break;
		if (crfs_is_kept(vma)) {
			*start = vma->vm_end;
			continue;
		}
		*start = vma->vm_start;
		*end = vma->vm_end;
		while ((vma = find_vma(mm, *end)) && !crfs_is_kept(vma))
			*end = vma->vm_end;
		found = true;
		break;
	}
	mmap_read_unlock(mm);
	return found;
}

static int crfs_empty(struct mm_struct *mm)
{
	unsigned long start = 0, end;
	int err;

	while (crfs_next_gap(mm, &start, &end)) {
		err = vm_munmap(start, end - start);
		if (err)
			return err;
		start = end;
	}
	return 0;
}

/* Does one of the kernel's own mappings stand where the record says? */
static bool crfs_stands(struct mm_struct *mm, const struct crfs_vma *record, const char *prefix)
{
	struct vm_area_struct *vma;
	bool stands;

	mmap_read_lock(mm);
	vma = find_vma(mm, record->start);
	stands = vma && vma->vm_start == record->start && vma->vm_end == record->end &&
		 crfs_is_special(vma, prefix);
	mmap_read_unlock(mm);
	return stands;
}

bool crfs_is_own_vdso(struct mm_struct *mm, const struct crfs_vma *vma)
{
	return vma->kind == CRFS_vma_kind_vdso && crfs_stands(mm, vma, "[vdso]");
}

static unsigned long crfs_map_flags(const struct crfs_vma *record, struct file *file)
{
	u64 vm_flags = crfs_vm_flags(record->flags);

	return MAP_FIXED_NOREPLACE | (record->prot & 8 ? MAP_SHARED : MAP_PRIVATE) |
	       (file ? 0 : MAP_ANONYMOUS) | (vm_flags & VM_GROWSDOWN ? MAP_GROWSDOWN : 0) |
	       (vm_flags & VM_NORESERVE ? MAP_NORESERVE : 0);
}

/* As the kernel's vm_stat_account(). */
static void crfs_account(struct mm_struct *mm, unsigned long flags, long pages)
{
	if ((flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) == VM_EXEC)
		mm->exec_vm += pages;
	else if (flags & VM_GROWSDOWN)
		mm->stack_vm += pages;
	else if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		mm->data_vm += pages;
}

/*
 * It counts against the commit limit though it cannot be written: it once could. So it is
 * made writable, and the right taken away again.
 */
static bool crfs_was_writable(const struct crfs_vma *record)
{
	return record->flags & BIT_ULL(CRFS_vma_flags_ac) && !(record->prot & (2 | 8));
}

/*
 * Sets what mmap() could not know: @wrong are flags that it was given for its sake.
 * mmap_lock is held for writing.
 */
static int crfs_finish_vma(struct mm_struct *mm, const struct crfs_vma *record, u64 wrong,
			   bool writable)
{
	struct vm_area_struct *vma = find_vma(mm, record->start);

	if (!vma || vma->vm_start != record->start || vma->vm_end != record->end)
		return -EINVAL;
	if (wrong)
		crfs_vm_flags_change(vma, vma->vm_flags ^ wrong);
	if (writable) {
		crfs_account(mm, vma->vm_flags, -vma_pages(vma));
		crfs_vm_flags_change(vma, vma->vm_flags & ~VM_WRITE);
		crfs_account(mm, vma->vm_flags, vma_pages(vma));
		/* Private, and no page of it is there yet. */
		WRITE_ONCE(vma->vm_page_prot, vm_get_page_prot(vma->vm_flags));
	}
	return (crfs_vma_flags(vma->vm_flags) ^ record->flags) & ~CRFS_VM_IGNORED ? -EINVAL : 0;
}

static int crfs_set_name(struct vm_area_struct *vma, const struct crfs_entry *entry)
{
	const struct crfs_vma *record = entry->wire;

	if (!record->name.length)
		return 0;
	return crfs_set_anon_name(vma, crfs_entry_bytes(entry, record->name),
				  record->name.length);
}

/* Locked memory is there from the start, as far as it can be. */
static void crfs_populate(struct mm_struct *mm, const struct crfs_vma *record)
{
	unsigned long at = record->start;

	while (at < record->end && !fatal_signal_pending(current)) {
		struct page *pages[16];
		unsigned long count = (record->end - at) >> PAGE_SHIFT;
		long i, taken;
		int locked = 1;

		if (mmap_read_lock_killable(mm))
			return;
		taken = crfs_get_pages(mm, at, min_t(unsigned long, count, ARRAY_SIZE(pages)), 0,
				       pages, &locked);
		if (locked)
			mmap_read_unlock(mm);
		for (i = 0; i < taken; i++)
			put_page(pages[i]);
		at += max_t(long, taken, 1) << PAGE_SHIFT;
		cond_resched();
	}
}

static int crfs_map(struct crfs_restart *restart, struct mm_struct *mm,
		    const struct crfs_entry *entry, bool seam)
{
	const struct crfs_vma *record = entry->wire;
	struct file *file = crfs_file_of(restart, record);
	bool writable = crfs_was_writable(record);
	u64 defaults = crfs_vm_flags(record->flags) & CRFS_VM_DEFAULTS;
	/* What is not to be written must have no page from when it could be. */
	bool late = writable && (defaults & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;
	u64 wrong = (seam ? CRFS_VM_SEAM : 0) | (late ? VM_LOCKONFAULT : 0);
	unsigned long at;
	int err;

	/* KSM looks only into spaces that have asked for it. */
	if (defaults & VM_MERGEABLE && !test_bit(MMF_VM_MERGEABLE, &mm->flags))
		return -EINVAL;
	mm->def_flags = defaults ^ wrong;
	at = vm_mmap(file, record->start, record->end - record->start,
		     (record->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) |
			     (writable ? PROT_WRITE : 0),
		     crfs_map_flags(record, file), record->offset);
	mm->def_flags = 0;
	if (IS_ERR_VALUE(at))
		return (int)at;
	mmap_write_lock(mm);
	err = crfs_finish_vma(mm, record, wrong, writable);
	if (!err)
		err = crfs_set_name(find_vma(mm, record->start), entry);
	mmap_write_unlock(mm);
	if (!err && late && record->prot & PROT_READ)
		crfs_populate(mm, record);
	return err;
}

/*
 * The code of another kernel's vdso, as ordinary memory: what it held is filled in. It is
 * no [vdso] any more, so its name and flags are those of such memory.
 */
static int crfs_map_old_vdso(struct mm_struct *mm, const struct crfs_vma *record)
{
	unsigned long at;

	mm->def_flags = 0;
	at = vm_mmap(NULL, record->start, record->end - record->start, PROT_READ | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
	return IS_ERR_VALUE(at) ? (int)at : 0;
}

/* The data of another kernel's vdso has no use: nothing is mapped in its place. */
static int crfs_map_special(struct mm_struct *mm, const struct crfs_vma *record)
{
	if (record->kind == CRFS_vma_kind_vvar || crfs_stands(mm, record, "[vdso]"))
		return 0;
	return crfs_map_old_vdso(mm, record);
}

/* Neighbours of which one has the flag of the seam, and one has not, do not merge anyway. */
static bool crfs_needs_seam(const struct crfs_vma *below, const struct crfs_vma *record)
{
	return below && below->end == record->start &&
	       !((below->flags ^ record->flags) & BIT_ULL(CRFS_vma_flags_dd));
}

static int crfs_map_all(struct crfs_restart *restart, struct crfs_space *space)
{
	struct mm_struct *mm = current->mm;
	const struct crfs_vma *last = NULL;
	bool seam;
	u64 i;
	int err;

	for (i = 0; i < space->vma_count; i++) {
		const struct crfs_vma *record = space->vmas[i]->wire;

		if (fatal_signal_pending(current))
			return -EINTR;
		seam = crfs_needs_seam(last, record);
		if (record->kind == CRFS_vma_kind_vdso || record->kind == CRFS_vma_kind_vvar)
			err = crfs_map_special(mm, record);
		else
			err = crfs_map(restart, mm, space->vmas[i], seam);
		if (err) {
			space->fault.type = CRFS_TAG_vma;
			space->fault.id = space->vmas[i]->id;
			space->fault.detail = record->start;
			return err;
		}
		last = record;
		cond_resched();
	}
	return 0;
}

/**
 * crfs_build - make an address space what its records say
 * @restart: gathered
 * @space: of the calling thread, which alone works on it
 *
 * Return: 0, or an error, with the object at fault in the space.
 */
int crfs_build(struct crfs_restart *restart, struct crfs_space *space)
{
	unsigned int personality = current->personality;
	int err;

	space->fault.type = CRFS_TAG_mm;
	space->fault.id = space->id;
	/* Protections are the records': none is to be executable for being readable. */
	current->personality &= ~READ_IMPLIES_EXEC;
	current->mm->def_flags = 0;
	err = crfs_empty(current->mm);
	if (!err)
		err = crfs_map_all(restart, space);
	if (!err)
		err = crfs_fill_space(restart, space);
	if (!err)
		err = crfs_set_mm(restart, space);
	current->personality = personality;
	return err;
}
