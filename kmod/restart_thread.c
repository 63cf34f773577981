// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread is given the state of its record. It stands, off its cpu, and cannot leave:
 * its registers are where the last switch put them, and it will find them changed.
 */
#include <linux/elf.h>
#include <linux/mm.h>
#include <linux/regset.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>

#include "compat.h"
#include "restart.h"
#include "session.h"

#define CRFS_REGISTER(row) .row = record->row
#define CRFS_REGISTER_AS(row, member) .member = record->row

/* The kernel's own checks of ptrace(2): segments, flags, bases. */
static int crfs_set_registers(struct task_struct *task, const struct user_regset_view *view,
			      const struct crfs_thread *record)
{
	const struct user_regset *regset = crfs_find_regset(view, NT_PRSTATUS);
	const struct user_regs_struct regs = {
		CRFS_REGISTER(r15), CRFS_REGISTER(r14), CRFS_REGISTER(r13), CRFS_REGISTER(r12),
		CRFS_REGISTER_AS(rbp, bp), CRFS_REGISTER_AS(rbx, bx),
		CRFS_REGISTER(r11), CRFS_REGISTER(r10), CRFS_REGISTER(r9), CRFS_REGISTER(r8),
		CRFS_REGISTER_AS(rax, ax), CRFS_REGISTER_AS(rcx, cx),
		CRFS_REGISTER_AS(rdx, dx), CRFS_REGISTER_AS(rsi, si),
		CRFS_REGISTER_AS(rdi, di), CRFS_REGISTER_AS(orig_rax, orig_ax),
		CRFS_REGISTER_AS(rip, ip), CRFS_REGISTER(cs), CRFS_REGISTER_AS(eflags, flags),
		CRFS_REGISTER_AS(rsp, sp), CRFS_REGISTER(ss),
		CRFS_REGISTER(fs_base), CRFS_REGISTER(gs_base),
		CRFS_REGISTER(ds), CRFS_REGISTER(es), CRFS_REGISTER(fs), CRFS_REGISTER(gs),
	};
	int err;

	if (!regset || !regset->set)
		return -EOPNOTSUPP;
	err = regset->set(task, regset, 0, sizeof(regs), &regs, NULL);
	return err == -EIO ? -EINVAL : err;
}

/*
 * The area of a machine with fewer features is shorter; that of one with more is longer,
 * and its header tells if it uses what this machine has not (EINVAL).
 */
static int crfs_set_extended(struct task_struct *task, const struct user_regset_view *view,
			     const struct crfs_entry *entry)
{
	const struct user_regset *regset = crfs_find_regset(view, NT_X86_XSTATE);
	const struct crfs_thread *record = entry->wire;
	size_t size;
	void *area;
	int err;

	if (!regset || !regset->set)
		return -EOPNOTSUPP;
	size = regset->n * regset->size;
	area = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!area)
		return -ENOMEM;
	memcpy(area, crfs_entry_bytes(entry, record->fpu),
	       min_t(size_t, size, record->fpu.length));
	err = regset->set(task, regset, 0, size, area, NULL);
	kvfree(area);
	return err == -EFAULT ? -EINVAL : err;
}

/* Under siglock, as those who look at them from outside expect. */
static int crfs_set_fields(struct task_struct *task, const struct crfs_thread *record)
{
	struct sighand_struct *sighand;
	unsigned long flags;
	int err;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -ESRCH;
	task->saved_sigmask.sig[0] = record->saved_sigmask;
	sigdelsetmask(&task->saved_sigmask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	crfs_set_restore_sigmask(task, record->restore_sigmask);
	task->sas_ss_sp = record->altstack_sp;
	task->sas_ss_size = record->altstack_size;
	task->sas_ss_flags = record->altstack_flags;
	err = crfs_set_rseq(task, record->rseq_address, record->rseq_length,
			    record->rseq_signature);
	spin_unlock_irqrestore(&sighand->siglock, flags);
	task->robust_list = (struct robust_list_head __user *)record->robust_list;
	task->clear_child_tid = (int __user *)record->clear_child_tid;
	return err;
}

/**
 * crfs_set_thread - give a thread its registers and whatever else only it has
 * @joiner: held, off its cpu
 *
 * Not the signals it blocks: all are, until it starts.
 *
 * Return: 0; -EINVAL: registers that no user program can have, or that this machine has
 * not; -EOPNOTSUPP: a system call that cannot go on; -ESRCH; -ENOMEM.
 */
int crfs_set_thread(struct crfs_joiner *joiner)
{
	const struct crfs_entry *entry = crfs_find_entry(&joiner->restart->records,
							 CRFS_TAG_thread, joiner->id);
	const struct user_regset_view *view = task_user_regset_view(joiner->task);
	const struct crfs_thread *record = entry->wire;
	int err;

	err = crfs_set_registers(joiner->task, view, record);
	if (!err)
		err = crfs_set_extended(joiner->task, view, entry);
	if (!err)
		err = crfs_set_call(joiner->task, record);
	return err ?: crfs_set_fields(joiner->task, record);
}
