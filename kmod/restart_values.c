// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a single record may say. The rules are those of the system calls that set the same
 * state: mmap, prctl(PR_SET_MM_MAP), sigaction, sigaltstack, setitimer, rseq, ptrace.
 */
#include <linux/bits.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>
#include <linux/signal.h>
#include <asm/fpu/xstate.h>
#include <asm/segment.h>

#include "restart.h"

#define CRFS_BIT(list, word) BIT_ULL(CRFS_##list##_##word)

/* Flags that no restart can give a mapping, but for the kernel's own. */
#define CRFS_VMA_REFUSED                                                                      \
	(CRFS_BIT(vma_flags, ht) | CRFS_BIT(vma_flags, sf) | CRFS_BIT(vma_flags, um) |        \
	 CRFS_BIT(vma_flags, uw) | CRFS_BIT(vma_flags, ui) | CRFS_BIT(vma_flags, ss) |        \
	 CRFS_BIT(vma_flags, pf) | CRFS_BIT(vma_flags, io) | CRFS_BIT(vma_flags, mm))

/* The legacy area and the header, which every xsave area has. */
#define CRFS_XSAVE_LEAST (FXSAVE_SIZE + XSAVE_HDR_SIZE)

static bool crfs_is_address(u64 address)
{
	return address < TASK_SIZE_MAX;
}

/* `prot` and the flags tell the same of a mapping. */
static bool crfs_prot_agrees(const struct crfs_vma *vma)
{
	u64 shown = (vma->prot & 1 ? CRFS_BIT(vma_flags, rd) : 0) |
		    (vma->prot & 2 ? CRFS_BIT(vma_flags, wr) : 0) |
		    (vma->prot & 4 ? CRFS_BIT(vma_flags, ex) : 0) |
		    (vma->prot & 8 ? CRFS_BIT(vma_flags, ms) : 0);

	return vma->prot < 16 &&
	       (vma->flags & (CRFS_BIT(vma_flags, rd) | CRFS_BIT(vma_flags, wr) |
			      CRFS_BIT(vma_flags, ex) | CRFS_BIT(vma_flags, ms))) == shown;
}

/* Flags that no mapping has together, or one without the other. */
static bool crfs_flags_agree(u64 flags)
{
	u64 hugepage = CRFS_BIT(vma_flags, hg) | CRFS_BIT(vma_flags, nh);
	u64 order = CRFS_BIT(vma_flags, sr) | CRFS_BIT(vma_flags, rr);
	u64 shared = CRFS_BIT(vma_flags, sh) | CRFS_BIT(vma_flags, ms);
	u64 fleeting = CRFS_BIT(vma_flags, wf) | CRFS_BIT(vma_flags, dd);

	return (flags & hugepage) != hugepage && (flags & order) != order &&
	       !(flags & CRFS_BIT(vma_flags, mg) && flags & shared) &&
	       !(flags & CRFS_BIT(vma_flags, lf) && !(flags & CRFS_BIT(vma_flags, lo))) &&
	       !(flags & CRFS_BIT(vma_flags, dp) && (flags & fleeting) != fleeting);
}

/* As prctl(PR_SET_VMA_ANON_NAME): it must not spoil /proc/PID/maps. */
static bool crfs_name_is_good(const struct crfs_entry *entry, struct crfs_bytes name)
{
	const u8 *text = crfs_entry_bytes(entry, name);
	u32 i;

	for (i = 0; i < name.length; i++) {
		if (text[i] <= 0x1f || text[i] >= 0x7f || strchr("\\`$[]", text[i]))
			return false;
	}
	return true;
}

/* What a mapping of ordinary memory, or of a file, may have. */
static bool crfs_kind_is_good(const struct crfs_vma *vma)
{
	bool backed = vma->file || vma->shmem;

	switch (vma->kind) {
	case CRFS_vma_kind_anon:
	case CRFS_vma_kind_heap:
	case CRFS_vma_kind_stack:
		return !backed && !(vma->flags & CRFS_VMA_REFUSED) && !(vma->prot & 8);
	case CRFS_vma_kind_file:
	case CRFS_vma_kind_shmem:
		return backed && !(vma->flags & (CRFS_VMA_REFUSED | CRFS_BIT(vma_flags, gd) |
						 CRFS_BIT(vma_flags, wf) |
						 CRFS_BIT(vma_flags, dp)));
	default:
		return false;
	}
}

static bool crfs_vma_is_good(const struct crfs_entry *entry)
{
	const struct crfs_vma *vma = entry->wire;
	bool backed = vma->file || vma->shmem;

	if (vma->start >= vma->end || vma->end > TASK_SIZE_MAX ||
	    !PAGE_ALIGNED(vma->start) || !PAGE_ALIGNED(vma->end) || !PAGE_ALIGNED(vma->offset))
		return false;
	if (vma->flags >> 34 || !crfs_prot_agrees(vma))
		return false;
	switch (vma->kind) {
	case CRFS_vma_kind_vdso:
	case CRFS_vma_kind_vvar:
		return !backed;
	default:
		return crfs_flags_agree(vma->flags) && crfs_name_is_good(entry, vma->name) &&
		       crfs_kind_is_good(vma);
	}
}

/* As validate_prctl_map_addr() of kernel/sys.c. */
static bool crfs_mm_is_good(const struct crfs_mm *mm)
{
	const u64 addresses[] = {
		mm->start_code, mm->end_code, mm->start_data, mm->end_data,
		mm->start_brk, mm->brk, mm->start_stack,
		mm->arg_start, mm->arg_end, mm->env_start, mm->env_end,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (!addresses[i] || !crfs_is_address(addresses[i]))
			return false;
	}
	if (mm->start_code >= mm->end_code || mm->start_data > mm->end_data ||
	    mm->start_brk > mm->brk || mm->arg_start > mm->arg_end ||
	    mm->env_start > mm->env_end)
		return false;
	return crfs_is_address(mm->vdso) && mm->dumpable <= SUID_DUMP_ROOT &&
	       mm->coredump_filter <= MMF_DUMP_FILTER_MASK >> MMF_DUMP_FILTER_SHIFT &&
	       mm->thp_disable <= 1 && mm->auxv.length % sizeof(long) == 0 &&
	       mm->auxv.length <= sizeof(((struct mm_struct *)0)->saved_auxv) &&
	       !(mm->def_flags & ~(CRFS_BIT(vma_flags, lo) | CRFS_BIT(vma_flags, lf)));
}

static bool crfs_sigaction_is_good(const struct crfs_sigaction *action)
{
	if (!action->signal || action->signal > _NSIG || action->flags & ~(u64)UAPI_SA_FLAGS)
		return false;
	return !sig_kernel_only(action->signal) || action->handler == (unsigned long)SIG_DFL;
}

static bool crfs_task_is_good(const struct crfs_task *task)
{
	return task->pid && task->pid <= INT_MAX && task->state >= CRFS_state_running &&
	       task->state <= CRFS_state_zombie && task->exit_code <= 0xffff &&
	       task->exit_signal <= _NSIG && task->itimer_real_value < KTIME_MAX &&
	       task->itimer_real_interval < KTIME_MAX;
}

static bool crfs_signal_is_good(s32 signo, u32 queued, struct crfs_bytes fields)
{
	return signo > 0 && signo <= _NSIG && signo != SIGKILL && queued <= 1 &&
	       fields.length <= sizeof(kernel_siginfo_t) - 16;
}

static bool crfs_registers_are_good(const struct crfs_thread *thread)
{
	return thread->cs == __USER_CS && thread->ss == __USER_DS && crfs_is_address(thread->rip) &&
	       crfs_is_address(thread->fs_base) && crfs_is_address(thread->gs_base) &&
	       thread->fpu.length >= CRFS_XSAVE_LEAST;
}

static bool crfs_altstack_is_good(const struct crfs_thread *thread)
{
	u64 end;

	return !(thread->altstack_flags & ~(SS_ONSTACK | SS_DISABLE | SS_AUTODISARM)) &&
	       !check_add_overflow(thread->altstack_sp, thread->altstack_size, &end) &&
	       end <= TASK_SIZE_MAX;
}

/* sys_rseq() asks for the same. */
static bool crfs_rseq_is_good(const struct crfs_thread *thread)
{
	if (!thread->rseq_address)
		return true;
	return crfs_is_address(thread->rseq_address) &&
	       IS_ALIGNED(thread->rseq_address, __alignof__(struct rseq)) &&
	       thread->rseq_length >= 32 && thread->rseq_length <= PAGE_SIZE &&
	       thread->rseq_address + thread->rseq_length <= TASK_SIZE_MAX;
}

static bool crfs_thread_is_good(const struct crfs_thread *thread)
{
	if (!thread->tid || thread->tid > INT_MAX || thread->exit_code > 0xffff)
		return false;
	if (thread->state == CRFS_state_zombie)
		return true;
	return (thread->state == CRFS_state_running || thread->state == CRFS_state_stopped) &&
	       crfs_registers_are_good(thread) && crfs_altstack_is_good(thread) &&
	       crfs_rseq_is_good(thread) && thread->restore_sigmask <= 1 &&
	       thread->syscall_restart <= CRFS_syscall_restart_block &&
	       thread->syscall_block <= CRFS_restart_block_other &&
	       thread->syscall_remaining < KTIME_MAX;
}

int crfs_check_values(u32 type, const struct crfs_entry *entry)
{
	const struct crfs_thread_signal *thread_signal = entry->wire;
	const struct crfs_signal *signal = entry->wire;
	bool good = true;

	switch (type) {
	case CRFS_TAG_mm:
		good = crfs_mm_is_good(entry->wire);
		break;
	case CRFS_TAG_vma:
		good = crfs_vma_is_good(entry);
		break;
	case CRFS_TAG_sigaction:
		good = crfs_sigaction_is_good(entry->wire);
		break;
	case CRFS_TAG_task:
		good = crfs_task_is_good(entry->wire);
		break;
	case CRFS_TAG_signal:
		good = crfs_signal_is_good(signal->signo, signal->queued, signal->fields);
		break;
	case CRFS_TAG_thread:
		good = crfs_thread_is_good(entry->wire);
		break;
	case CRFS_TAG_thread_signal:
		good = crfs_signal_is_good(thread_signal->signo, thread_signal->queued,
					   thread_signal->fields);
		break;
	}
	return good ? 0 : -EBADMSG;
}
