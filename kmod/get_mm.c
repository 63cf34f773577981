// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space as a whole.
 */
#include <linux/bits.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/userfaultfd_k.h>
#include <linux/mempolicy.h>
#include <linux/pkeys.h>

#include "emit.h"

u32 crfs_mm_blockers(struct mm_struct *mm)
{
	u32 blockers = 0;

	if (mm->context.ldt)
		blockers |= BIT(CRFS_blockers_ldt);
	if (test_bit(MMF_HAS_UPROBES, &mm->flags))
		blockers |= BIT(CRFS_blockers_uprobes);
#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
	/* Key 0 is everybody's. A mapping that can only be executed takes one, too. */
	if (mm->context.pkey_allocation_map & ~1)
		blockers |= BIT(CRFS_blockers_pkeys);
#endif
	return blockers;
}

u32 crfs_vma_blockers(struct vm_area_struct *vma, u32 kind)
{
	u32 blockers = 0;

	if (vma->vm_flags & VM_HUGETLB)
		blockers |= BIT(CRFS_blockers_hugetlb);
	else if (vma->vm_flags & (VM_PFNMAP | VM_IO | VM_MIXEDMAP) && kind != CRFS_vma_kind_vvar &&
		 kind != CRFS_vma_kind_vdso)
		blockers |= BIT(CRFS_blockers_device_memory);
	if (vma->vm_flags & (VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR))
		blockers |= BIT(CRFS_blockers_userfault);
#ifdef CONFIG_NUMA
	if (vma->vm_policy)
		blockers |= BIT(CRFS_blockers_mempolicy);
#endif
	/* It keeps its key when that is freed. */
	if (vma_pkey(vma))
		blockers |= BIT(CRFS_blockers_pkeys);
	/* The ring of an io_setup(2) context is mapped. */
	if (vma->vm_file && !strcmp(file_inode(vma->vm_file)->i_sb->s_type->name, "aio"))
		blockers |= BIT(CRFS_blockers_aio);
	return blockers;
}

CRFS_GET(mm, start_code, from->mm->start_code)
CRFS_GET(mm, end_code, from->mm->end_code)
CRFS_GET(mm, start_data, from->mm->start_data)
CRFS_GET(mm, end_data, from->mm->end_data)
CRFS_GET(mm, start_brk, from->mm->start_brk)
CRFS_GET(mm, brk, from->mm->brk)
CRFS_GET(mm, start_stack, from->mm->start_stack)
CRFS_GET(mm, arg_start, from->mm->arg_start)
CRFS_GET(mm, arg_end, from->mm->arg_end)
CRFS_GET(mm, env_start, from->mm->env_start)
CRFS_GET(mm, env_end, from->mm->env_end)
CRFS_GET(mm, vdso, (unsigned long)from->mm->context.vdso)
CRFS_GET(mm, exe, from->exe)
CRFS_GET(mm, def_flags, crfs_vma_flags(from->mm->def_flags))
CRFS_GET(mm, dumpable, __get_dumpable(from->mm->flags))
CRFS_GET(mm, coredump_filter, (from->mm->flags & MMF_DUMP_FILTER_MASK) >> MMF_DUMP_FILTER_SHIFT)
CRFS_GET(mm, thp_disable, test_bit(MMF_DISABLE_THP, &from->mm->flags))
CRFS_GET(mm, blockers, from->blockers)

/* As /proc/PID/auxv: up to the pair AT_NULL, with it. */
CRFS_GET_BYTES(mm, auxv)
{
	const unsigned long *auxv = from->mm->saved_auxv;
	unsigned int words = 0;

	do {
		words += 2;
	} while (auxv[words - 2] && words < ARRAY_SIZE(from->mm->saved_auxv));
	return crfs_body_append(body, auxv, words * sizeof(*auxv));
}

CRFS_DEFINE_EMITTER(mm)
