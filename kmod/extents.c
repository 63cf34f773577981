// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages hold data that is nowhere else.
 *
 * Private mappings: read off the page tables, without taking or faulting in any page.
 * Anonymous pages count, present (whatever their protection), swapped out or under
 * migration; the zero page, clean pages of files and what was never touched do not. An
 * empty entry of an upper table is skipped whole, so sparse mappings cost nothing.
 *
 * Tables may be freed behind an rcu grace period while mmap_lock is held for reading
 * (khugepaged), so one table is looked at within one rcu section. The memory itself may
 * be reclaimed meanwhile: an entry is believed if it is still the same after its page was
 * looked at.
 */
#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "objects.h"

/* Where found memory goes: merged with what stands right before it. */
struct crfs_extent_list {
	struct crfs_objects *objects;
	u32 owner_type;
	u64 owner_id;
	u64 origin;	/* the address that offset 0 stands for */
};

static int crfs_add_extent(struct crfs_extent_list *list, u64 start, u64 end)
{
	struct crfs_table *table = &list->objects->extent;
	struct crfs_extent_source *extent;
	u64 offset = start - list->origin;

	if (table->count) {
		extent = crfs_table_at(table, table->count);
		if (extent->owner_type == list->owner_type &&
		    extent->owner_id == list->owner_id &&
		    extent->offset + extent->length == offset) {
			extent->length += end - start;
			return 0;
		}
	}
	extent = crfs_table_add(table);
	if (!extent)
		return -ENOMEM;
	extent->owner_type = list->owner_type;
	extent->owner_id = list->owner_id;
	extent->offset = offset;
	extent->length = end - start;
	return 0;
}

/* Entries that hold no address: swapped out, or the page is on its way elsewhere. */
static bool crfs_swap_entry_has_data(swp_entry_t entry)
{
	if (!non_swap_entry(entry))
		return true;
	if (is_migration_entry(entry))
		return PageAnon(pfn_swap_entry_to_page(entry));
	return false;
}

static bool crfs_pte_has_data(pte_t pte)
{
	if (pte_none(pte))
		return false;
	if (!pte_present(pte))
		return crfs_swap_entry_has_data(pte_to_swp_entry(pte));
	if (pte_special(pte) || is_zero_pfn(pte_pfn(pte)) || !pfn_valid(pte_pfn(pte)))
		return false;
	return PageAnon(pte_page(pte));
}

static bool crfs_huge_has_data(pmd_t pmd)
{
	if (pmd_present(pmd))
		return pmd_trans_huge(pmd) && PageAnon(pmd_page(pmd));
	if (is_pmd_migration_entry(pmd))
		return crfs_swap_entry_has_data(pmd_to_swp_entry(pmd));
	return false;
}

/*
 * Looks at the 2 MiB (or what of it lies within the range) below one pmd. Sets the bits
 * of the pages that have data, of PTRS_PER_PTE.
 */
static void crfs_scan_table(pmd_t *pmd_entry, unsigned long start, unsigned long end,
			    unsigned long *pages)
{
	unsigned long address, first = start & PMD_MASK;
	pte_t *entry, pte;
	bool has_data;
	pmd_t pmd;

	bitmap_zero(pages, PTRS_PER_PTE);
	rcu_read_lock();
again:
	pmd = READ_ONCE(*pmd_entry);
	if (pmd_none(pmd))
		goto unlock;
	if (!pmd_present(pmd) || pmd_trans_huge(pmd) || pmd_leaf(pmd)) {
		has_data = crfs_huge_has_data(pmd);
		if (pmd_val(pmd) != pmd_val(READ_ONCE(*pmd_entry)))
			goto again;
		if (has_data)
			bitmap_set(pages, (start - first) >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT);
		goto unlock;
	}
	for (address = start; address < end; address += PAGE_SIZE) {
		entry = pte_offset_kernel(&pmd, address);
		do {
			pte = READ_ONCE(*entry);
			has_data = crfs_pte_has_data(pte);
			/* Pairs with the release of a page, after its entry was changed. */
			smp_rmb();
		} while (pte_val(pte) != pte_val(READ_ONCE(*entry)));
		if (has_data)
			__set_bit((address - first) >> PAGE_SHIFT, pages);
	}
	/* Collapsed into a huge page meanwhile: what was seen of the old table is stale. */
	if (pmd_val(pmd) != pmd_val(READ_ONCE(*pmd_entry))) {
		bitmap_zero(pages, PTRS_PER_PTE);
		goto again;
	}
unlock:
	rcu_read_unlock();
}

static int crfs_add_pages(struct crfs_extent_list *list, unsigned long first,
			  const unsigned long *pages)
{
	unsigned int from, to;
	int err = 0;

	for_each_set_bitrange(from, to, pages, PTRS_PER_PTE) {
		err = crfs_add_extent(list, first + ((u64)from << PAGE_SHIFT),
				      first + ((u64)to << PAGE_SHIFT));
		if (err)
			break;
	}
	return err;
}

/*
 * Returns the pmd entry that covers an address, or null with @next set to where the
 * empty part of the table above ends.
 */
static pmd_t *crfs_find_pmd(struct mm_struct *mm, unsigned long address, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	*next = (address & PGDIR_MASK) + PGDIR_SIZE;
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	*next = (address & P4D_MASK) + P4D_SIZE;
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	*next = (address & PUD_MASK) + PUD_SIZE;
	/* Huge ones are of devices or hugetlb, whose memory is not saved. */
	if (pud_none(*pud) || !pud_present(*pud) || pud_leaf(*pud))
		return NULL;
	*next = (address & PMD_MASK) + PMD_SIZE;
	return pmd_offset(pud, address);
}

/**
 * crfs_vma_extents - find the private memory of a mapping
 * @objects: where; extents are appended
 * @vma: whose mmap_lock is held
 * @id: its object id
 *
 * Return: 0 or an error.
 */
int crfs_vma_extents(struct crfs_objects *objects, struct vm_area_struct *vma, u64 id)
{
	struct crfs_extent_list list = { objects, CRFS_TAG_vma, id, vma->vm_start };
	DECLARE_BITMAP(pages, PTRS_PER_PTE);
	unsigned long address, next;
	pmd_t *pmd;
	int err;

	mmap_assert_locked(vma->vm_mm);
	if (!vma->anon_vma || vma->vm_flags & (VM_HUGETLB | VM_PFNMAP | VM_IO))
		return 0;
	for (address = vma->vm_start; address < vma->vm_end; address = next) {
		pmd = crfs_find_pmd(vma->vm_mm, address, &next);
		if (!next || next > vma->vm_end)
			next = vma->vm_end;
		if (!pmd)
			continue;
		crfs_scan_table(pmd, address, next, pages);
		err = crfs_add_pages(&list, address & PMD_MASK, pages);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* All of a mapping, whatever lies behind it. */
int crfs_whole_extent(struct crfs_objects *objects, struct vm_area_struct *vma, u64 id)
{
	struct crfs_extent_list list = { objects, CRFS_TAG_vma, id, vma->vm_start };

	return crfs_add_extent(&list, vma->vm_start, vma->vm_end);
}

/* Finds the memory of a shmem object: what its file says is not a hole. */
int crfs_shmem_extents(struct crfs_objects *objects, u64 id)
{
	struct crfs_shmem_source *shmem = crfs_table_at(&objects->shmem, id);
	struct crfs_extent_list list = { objects, CRFS_TAG_shmem, id, 0 };
	loff_t size = PAGE_ALIGN(i_size_read(file_inode(shmem->file)));
	loff_t start, end = 0;
	int err;

	while (end < size) {
		start = vfs_llseek(shmem->file, end, SEEK_DATA);
		if (start == -ENXIO || start >= size)
			break;
		if (start < 0)
			return start;
		end = vfs_llseek(shmem->file, start, SEEK_HOLE);
		if (end < 0)
			return end;
		start &= PAGE_MASK;
		end = PAGE_ALIGN(end);
		err = crfs_add_extent(&list, start, end);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
