// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space: its mappings, the files and the shared memory behind them, and which
 * of its pages are to be saved.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "objects.h"

/* The kernel's own name of a mapping without a file, or null. */
static const char *crfs_special_name(struct vm_area_struct *vma)
{
	if (vma->vm_ops && vma->vm_ops->name)
		return vma->vm_ops->name(vma);
	return NULL;
}

static u32 crfs_anon_kind(const struct vm_area_struct *vma)
{
	const struct mm_struct *mm = vma->vm_mm;

	if (vma->vm_start <= mm->brk && vma->vm_end >= mm->start_brk)
		return CRFS_vma_kind_heap;
	if (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack)
		return CRFS_vma_kind_stack;
	return CRFS_vma_kind_anon;
}

static u32 crfs_vma_kind(struct vm_area_struct *vma, const char *special)
{
	if (vma->vm_file)
		return crfs_is_shmem(vma->vm_file) ? CRFS_vma_kind_shmem : CRFS_vma_kind_file;
	if (!special)
		return crfs_anon_kind(vma);
	if (!strcmp(special, "[vdso]"))
		return CRFS_vma_kind_vdso;
	if (!strncmp(special, "[vvar", strlen("[vvar")))
		return CRFS_vma_kind_vvar;
	return CRFS_vma_kind_special;
}

static int crfs_collect_vma(struct crfs_objects *objects, struct vm_area_struct *vma, u64 mm_id)
{
	const char *special = vma->vm_file ? NULL : crfs_special_name(vma);
	const char *name = special ?: crfs_anon_name(vma);
	u32 kind = crfs_vma_kind(vma, special);
	struct crfs_vma_source *entry;
	struct crfs_mm_source *mm;
	u64 file = 0, shmem = 0;
	int err = 0;

	if (kind == CRFS_vma_kind_shmem)
		err = crfs_collect_shmem(objects, vma->vm_file, &shmem);
	if (!err && vma->vm_file && (kind == CRFS_vma_kind_file || crfs_is_memfd(vma->vm_file)))
		err = crfs_collect_file(objects, vma->vm_file, &file);
	if (err)
		return err;
	entry = crfs_table_add(&objects->vma);
	if (!entry)
		return -ENOMEM;
	entry->mm = mm_id;
	entry->start = vma->vm_start;
	entry->end = vma->vm_end;
	entry->vm_flags = vma->vm_flags;
	entry->offset = vma->vm_file ? (u64)vma->vm_pgoff << PAGE_SHIFT : 0;
	entry->kind = kind;
	entry->file = file;
	entry->shmem = shmem;
	if (name) {
		entry->name = kstrdup(name, GFP_KERNEL_ACCOUNT);
		if (!entry->name)
			return -ENOMEM;
	}
	mm = crfs_table_at(&objects->mm, mm_id);
	mm->blockers |= crfs_vma_blockers(vma, kind);
	/* Code of this kernel: another one that restarts the program has other code. */
	if (kind == CRFS_vma_kind_vdso)
		return crfs_whole_extent(objects, vma, objects->vma.count);
	if (kind == CRFS_vma_kind_vvar || kind == CRFS_vma_kind_special)
		return 0;
	return crfs_vma_extents(objects, vma, objects->vma.count);
}

static int crfs_collect_vmas(struct crfs_objects *objects, struct mm_struct *mm, u64 mm_id)
{
	struct vm_area_struct *vma;
	int err = 0;
	VMA_ITERATOR(vmas, mm, 0);

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for_each_vma(vmas, vma) {
		err = crfs_collect_vma(objects, vma, mm_id);
		if (err)
			break;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return err;
}

/**
 * crfs_collect_mm - find or add an address space with its mappings
 * @objects: where
 * @mm: mm_users is held by the caller
 * @id: out
 *
 * Return: 0 or an error.
 */
int crfs_collect_mm(struct crfs_objects *objects, struct mm_struct *mm, u64 *id)
{
	struct crfs_key key = { mm };
	struct crfs_mm_source *entry;
	struct file *exe;
	u64 exe_id = 0;
	int err = 0;

	*id = crfs_table_find(&objects->mm, key);
	if (*id)
		return 0;
	exe = crfs_exe_file(mm);
	if (exe) {
		err = crfs_collect_file(objects, exe, &exe_id);
		fput(exe);
	}
	if (err)
		return err;
	entry = crfs_table_add_key(&objects->mm, key);
	if (!entry)
		return -ENOMEM;
	mmgrab(mm);
	entry->mm = mm;
	entry->exe = exe_id;
	entry->blockers = crfs_mm_blockers(mm);
	*id = objects->mm.count;
	return crfs_collect_vmas(objects, mm, *id);
}
