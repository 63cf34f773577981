// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of an address space besides its mappings: as prctl(PR_SET_MM_MAP),
 * prctl(PR_SET_DUMPABLE) and their like set it. Addresses were checked on arrival.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "compat.h"
#include "objects.h"
#include "restart.h"

static bool crfs_is_noexec(const struct file *file)
{
	const struct vfsmount *mnt = file->f_path.mnt;

	return mnt->mnt_flags & MNT_NOEXEC || mnt->mnt_sb->s_iflags & SB_I_NOEXEC;
}

/* The program's file cannot be written while a space runs it, so it is counted there. */
static int crfs_set_exe(struct mm_struct *mm, struct file *exe)
{
	struct file *old;
	int err;

	if (!S_ISREG(file_inode(exe)->i_mode) || crfs_is_noexec(exe))
		return -EACCES;
	err = file_permission(exe, MAY_EXEC);
	if (err)
		return err;
	err = crfs_deny_write(exe);
	if (err)
		return err;
	get_file(exe);
	mmap_write_lock(mm);
	old = rcu_dereference_protected(mm->exe_file, lockdep_is_held(&mm->mmap_lock));
	rcu_assign_pointer(mm->exe_file, exe);
	if (old) {
		crfs_allow_write(old);
		fput(old);
	}
	mmap_write_unlock(mm);
	return 0;
}

static void crfs_set_addresses(struct mm_struct *mm, const struct crfs_mm *record)
{
	spin_lock(&mm->arg_lock);
	mm->start_code = record->start_code;
	mm->end_code = record->end_code;
	mm->start_data = record->start_data;
	mm->end_data = record->end_data;
	mm->start_brk = record->start_brk;
	mm->brk = record->brk;
	mm->start_stack = record->start_stack;
	mm->arg_start = record->arg_start;
	mm->arg_end = record->arg_end;
	mm->env_start = record->env_start;
	mm->env_end = record->env_end;
	spin_unlock(&mm->arg_lock);
}

static void crfs_set_auxv(struct mm_struct *mm, const struct crfs_entry *entry)
{
	const struct crfs_mm *record = entry->wire;

	task_lock(current);
	memset(mm->saved_auxv, 0, sizeof(mm->saved_auxv));
	memcpy(mm->saved_auxv, crfs_entry_bytes(entry, record->auxv), record->auxv.length);
	/* It always ends with AT_NULL. */
	mm->saved_auxv[AT_VECTOR_SIZE - 1] = 0;
	mm->saved_auxv[AT_VECTOR_SIZE - 2] = 0;
	task_unlock(current);
}

static void crfs_set_bits(struct mm_struct *mm, const struct crfs_mm *record)
{
	set_mask_bits(&mm->flags, MMF_DUMPABLE_MASK | MMF_DUMP_FILTER_MASK,
		      (unsigned long)record->dumpable |
			      ((unsigned long)record->coredump_filter << MMF_DUMP_FILTER_SHIFT));
	if (record->thp_disable)
		set_bit(MMF_DISABLE_THP, &mm->flags);
	else
		clear_bit(MMF_DISABLE_THP, &mm->flags);
}

/**
 * crfs_set_mm - set what is not a mapping
 * @restart: gathered
 * @space: mapped and filled; of the calling thread
 *
 * Return: 0; -EPERM: it may not lock memory, or have such core files; -EINVAL: its data is over RLIMIT_DATA;
 * -ENOENT: mm.exe was not supplied; -EACCES, -ETXTBSY: it cannot be executed.
 */
int crfs_set_mm(struct crfs_restart *restart, struct crfs_space *space)
{
	const struct crfs_mm *record = space->record->wire;
	struct mm_struct *mm = current->mm;
	struct file *exe;
	int err = 0;

	if (record->def_flags && !can_do_mlock())
		return -EPERM;
	/* prctl(2) refuses this, as core files are then root's; so does it come from one's past. */
	if (record->dumpable == SUID_DUMP_ROOT && __get_dumpable(mm->flags) != SUID_DUMP_ROOT &&
	    !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (check_data_rlimit(rlimit(RLIMIT_DATA), record->brk, record->start_brk,
			      record->end_data, record->start_data))
		return -EINVAL;
	if (record->exe) {
		exe = xa_load(&restart->files, record->exe);
		err = exe ? crfs_set_exe(mm, exe) : -ENOENT;
	}
	if (err)
		return err;
	mmap_write_lock(mm);
	crfs_set_addresses(mm, record);
	mm->def_flags = crfs_vm_flags(record->def_flags);
	mmap_write_unlock(mm);
	crfs_set_auxv(mm, space->record);
	crfs_set_bits(mm, record);
	return 0;
}
