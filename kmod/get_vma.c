// SPDX-License-Identifier: GPL-2.0-only
/*
 * One mapping.
 */
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "emit.h"

/* The kernel's flags and their words; crfs's bits do not follow the kernel's versions. */
static const struct {
	u64 vm_flag;
	u32 bit;
} crfs_vma_flag_table[] = {
	{ VM_READ, CRFS_vma_flags_rd },
	{ VM_WRITE, CRFS_vma_flags_wr },
	{ VM_EXEC, CRFS_vma_flags_ex },
	{ VM_SHARED, CRFS_vma_flags_sh },
	{ VM_MAYREAD, CRFS_vma_flags_mr },
	{ VM_MAYWRITE, CRFS_vma_flags_mw },
	{ VM_MAYEXEC, CRFS_vma_flags_me },
	{ VM_MAYSHARE, CRFS_vma_flags_ms },
	{ VM_GROWSDOWN, CRFS_vma_flags_gd },
	{ VM_PFNMAP, CRFS_vma_flags_pf },
	{ VM_LOCKED, CRFS_vma_flags_lo },
	{ VM_IO, CRFS_vma_flags_io },
	{ VM_SEQ_READ, CRFS_vma_flags_sr },
	{ VM_RAND_READ, CRFS_vma_flags_rr },
	{ VM_DONTCOPY, CRFS_vma_flags_dc },
	{ VM_DONTEXPAND, CRFS_vma_flags_de },
	{ VM_ACCOUNT, CRFS_vma_flags_ac },
	{ VM_NORESERVE, CRFS_vma_flags_nr },
	{ VM_HUGETLB, CRFS_vma_flags_ht },
	{ VM_SYNC, CRFS_vma_flags_sf },
	{ VM_ARCH_1, CRFS_vma_flags_ar },
	{ VM_WIPEONFORK, CRFS_vma_flags_wf },
	{ VM_DONTDUMP, CRFS_vma_flags_dd },
	{ VM_MIXEDMAP, CRFS_vma_flags_mm },
	{ VM_HUGEPAGE, CRFS_vma_flags_hg },
	{ VM_NOHUGEPAGE, CRFS_vma_flags_nh },
	{ VM_MERGEABLE, CRFS_vma_flags_mg },
	{ VM_UFFD_MISSING, CRFS_vma_flags_um },
	{ VM_UFFD_WP, CRFS_vma_flags_uw },
	{ VM_UFFD_MINOR, CRFS_vma_flags_ui },
	{ VM_LOCKONFAULT, CRFS_vma_flags_lf },
#ifdef VM_SHADOW_STACK
	{ VM_SHADOW_STACK, CRFS_vma_flags_ss },
#endif
#ifdef VM_SEALED
	{ VM_SEALED, CRFS_vma_flags_sl },
#endif
#ifdef VM_DROPPABLE
	{ VM_DROPPABLE, CRFS_vma_flags_dp },
#endif
};

u64 crfs_vma_flags(u64 vm_flags)
{
	u64 words = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crfs_vma_flag_table); i++) {
		if (vm_flags & crfs_vma_flag_table[i].vm_flag)
			words |= BIT_ULL(crfs_vma_flag_table[i].bit);
	}
	return words;
}

/* The way back. Words that this kernel has no flag for are left out. */
u64 crfs_vm_flags(u64 words)
{
	u64 vm_flags = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(crfs_vma_flag_table); i++) {
		if (words & BIT_ULL(crfs_vma_flag_table[i].bit))
			vm_flags |= crfs_vma_flag_table[i].vm_flag;
	}
	return vm_flags;
}

/* Bits 0 to 3: r, w, x, s. */
static u32 crfs_vma_prot(u64 vm_flags)
{
	return (vm_flags & VM_READ ? 1 : 0) | (vm_flags & VM_WRITE ? 2 : 0) |
	       (vm_flags & VM_EXEC ? 4 : 0) | (vm_flags & VM_MAYSHARE ? 8 : 0);
}

CRFS_GET(vma, mm, from->mm)
CRFS_GET(vma, start, from->start)
CRFS_GET(vma, end, from->end)
CRFS_GET(vma, flags, crfs_vma_flags(from->vm_flags))
CRFS_GET(vma, offset, from->offset)
CRFS_GET(vma, prot, crfs_vma_prot(from->vm_flags))
CRFS_GET(vma, kind, from->kind)
CRFS_GET(vma, file, from->file)
CRFS_GET(vma, shmem, from->shmem)

CRFS_GET_BYTES(vma, name)
{
	return from->name ? crfs_body_append(body, from->name, strlen(from->name)) : 0;
}

CRFS_DEFINE_EMITTER(vma)
