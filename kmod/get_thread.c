// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread.
 */
#include <linux/bits.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/elf.h>
#include <linux/iocontext.h>
#include <linux/mm.h>
#include <linux/regset.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <asm/processor.h>

#include "compat.h"
#include "emit.h"
#include "keyring.h"
#include "session.h"

/* Of what is set by a thread and used in the kernel alone. */
static u32 crfs_kernel_blockers(struct task_struct *task)
{
	const struct cred *cred;
	u32 blockers = 0;

	if (task->ptrace)
		blockers |= BIT(CRFS_blockers_ptraced);
	if (crfs_has_sem_undo(task))
		blockers |= BIT(CRFS_blockers_sem_undo);
	if (task->utask)
		blockers |= BIT(CRFS_blockers_uprobes);
#ifdef CONFIG_NUMA
	if (task->mempolicy)
		blockers |= BIT(CRFS_blockers_mempolicy);
#endif
	if (task->io_uring)
		blockers |= BIT(CRFS_blockers_io_uring);
	if (test_task_syscall_work(task, SYSCALL_USER_DISPATCH))
		blockers |= BIT(CRFS_blockers_syscall_dispatch);
	if (!list_empty(&task->perf_event_list))
		blockers |= BIT(CRFS_blockers_perf);
	rcu_read_lock();
	cred = __task_cred(task);
	if (cred->thread_keyring || cred->process_keyring ||
	    crfs_has_own_session_keyring(cred))
		blockers |= BIT(CRFS_blockers_keyrings);
	rcu_read_unlock();
	return blockers;
}

static u32 crfs_machine_blockers(struct task_struct *task)
{
	const struct thread_struct *thread = &task->thread;
	u32 blockers = 0;
	unsigned int i;

	if (task_pt_regs(task)->cs != __USER_CS || test_tsk_thread_flag(task, TIF_ADDR32))
		blockers |= BIT(CRFS_blockers_compat);
#ifdef CONFIG_X86_IOPL_IOPERM
	if (thread->io_bitmap || thread->iopl_emul)
		blockers |= BIT(CRFS_blockers_ioperm);
#endif
	if (test_tsk_thread_flag(task, TIF_NOTSC))
		blockers |= BIT(CRFS_blockers_notsc);
	for (i = 0; i < ARRAY_SIZE(thread->ptrace_bps); i++) {
		if (thread->ptrace_bps[i])
			blockers |= BIT(CRFS_blockers_debug_registers);
	}
	if (crfs_has_shadow_stack(task))
		blockers |= BIT(CRFS_blockers_shadow_stack);
	return blockers;
}

/* The siglock is held, and the thread stands: its stack is looked at. */
u32 crfs_thread_blockers(struct task_struct *task)
{
	if (task->exit_state)
		return 0;
	if (crfs_is_worker(task))
		return BIT(CRFS_blockers_io_uring);
	return crfs_kernel_blockers(task) | crfs_machine_blockers(task);
}

static u32 crfs_ioprio(struct task_struct *task)
{
	u32 ioprio = 0;

	task_lock(task);
	if (task->io_context)
		ioprio = task->io_context->ioprio;
	task_unlock(task);
	return ioprio;
}

#define CRFS_TASK (from->thread->task)

CRFS_GET(thread, task, from->task)
CRFS_GET(thread, tid, from->thread->tid)
CRFS_GET(thread, state, from->state)
CRFS_GET(thread, blockers, from->blockers)
CRFS_GET(thread, cred, from->cred)

/* What serves a thread while it runs: all that its death has left of that says nothing. */
#define CRFS_GET_OF_LIVING(row, value) \
	CRFS_GET(thread, row, from->state == CRFS_state_zombie ? 0 : (value))

#define CRFS_REGISTER(row, member) CRFS_GET(thread, row, from->regs->member)
CRFS_REGISTER(r15, r15)
CRFS_REGISTER(r14, r14)
CRFS_REGISTER(r13, r13)
CRFS_REGISTER(r12, r12)
CRFS_REGISTER(rbp, bp)
CRFS_REGISTER(rbx, bx)
CRFS_REGISTER(r11, r11)
CRFS_REGISTER(r10, r10)
CRFS_REGISTER(r9, r9)
CRFS_REGISTER(r8, r8)
CRFS_REGISTER(rax, ax)
CRFS_REGISTER(rcx, cx)
CRFS_REGISTER(rdx, dx)
CRFS_REGISTER(rsi, si)
CRFS_REGISTER(rdi, di)
CRFS_REGISTER(orig_rax, orig_ax)
CRFS_REGISTER(rip, ip)
CRFS_REGISTER(cs, cs)
CRFS_REGISTER(eflags, flags)
CRFS_REGISTER(rsp, sp)
CRFS_REGISTER(ss, ss)
CRFS_REGISTER(fs_base, fs_base)
CRFS_REGISTER(gs_base, gs_base)
CRFS_REGISTER(ds, ds)
CRFS_REGISTER(es, es)
CRFS_REGISTER(fs, fs)
CRFS_REGISTER(gs, gs)

CRFS_GET_OF_LIVING(sigmask, CRFS_TASK->blocked.sig[0])
CRFS_GET_OF_LIVING(saved_sigmask,
		   test_tsk_restore_sigmask(CRFS_TASK) ? CRFS_TASK->saved_sigmask.sig[0] : 0)
CRFS_GET_OF_LIVING(restore_sigmask, test_tsk_restore_sigmask(CRFS_TASK))
CRFS_GET_OF_LIVING(altstack_flags, CRFS_TASK->sas_ss_flags)
CRFS_GET_OF_LIVING(altstack_sp, CRFS_TASK->sas_ss_sp)
CRFS_GET_OF_LIVING(altstack_size, CRFS_TASK->sas_ss_size)
CRFS_GET_OF_LIVING(robust_list, (unsigned long)CRFS_TASK->robust_list)
CRFS_GET_OF_LIVING(rseq_address, (unsigned long)CRFS_TASK->rseq)
CRFS_GET_OF_LIVING(rseq_length, crfs_rseq_length(CRFS_TASK))
CRFS_GET_OF_LIVING(rseq_signature, CRFS_TASK->rseq_sig)
CRFS_GET_OF_LIVING(clear_child_tid, (unsigned long)CRFS_TASK->clear_child_tid)
CRFS_GET(thread, syscall_nr, from->call->nr)
CRFS_GET(thread, syscall_restart, from->call->restart)
CRFS_GET(thread, syscall_block, from->call->block)
CRFS_GET(thread, syscall_clock, from->call->clock)
CRFS_GET(thread, syscall_flags, from->call->flags)
CRFS_GET(thread, syscall_remaining, from->call->remaining)
CRFS_GET(thread, syscall_address, from->call->address)
CRFS_GET(thread, syscall_value, from->call->value)
CRFS_GET(thread, syscall_bitset, from->call->bitset)
CRFS_GET(thread, policy, CRFS_TASK->policy)
CRFS_GET(thread, nice, task_nice(CRFS_TASK))
CRFS_GET(thread, priority, CRFS_TASK->rt_priority)
CRFS_GET(thread, reset_on_fork, CRFS_TASK->sched_reset_on_fork)
CRFS_GET_OF_LIVING(timerslack, CRFS_TASK->timer_slack_ns)
CRFS_GET(thread, ioprio, crfs_ioprio(CRFS_TASK))
CRFS_GET(thread, personality, CRFS_TASK->personality)
CRFS_GET_OF_LIVING(pdeath_signal, CRFS_TASK->pdeath_signal)
CRFS_GET(thread, seccomp, CRFS_TASK->seccomp.mode)
CRFS_GET(thread, no_new_privs, task_no_new_privs(CRFS_TASK))
CRFS_GET(thread, exit_code, from->state == CRFS_state_zombie ? CRFS_TASK->exit_code : 0)

CRFS_GET_BYTES(thread, nstid)
{
	return crfs_append_pids(body, from->thread->task);
}

CRFS_GET_BYTES(thread, comm)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, from->thread->task);
	return crfs_body_append(body, comm, strnlen(comm, sizeof(comm)));
}

CRFS_GET_BYTES(thread, fpu)
{
	return crfs_body_append(body, from->fpu, from->fpu_size);
}

/* A bitmap as short as it can be: byte 0 holds cpus 0 to 7. */
CRFS_GET_BYTES(thread, cpus)
{
	const u8 *bytes = (const u8 *)cpumask_bits(&from->thread->task->cpus_mask);
	size_t length = DIV_ROUND_UP(nr_cpu_ids, BITS_PER_LONG) * sizeof(long);

	while (length && !bytes[length - 1])
		length--;
	return crfs_body_append(body, bytes, length);
}

static CRFS_DEFINE_NAMED_EMITTER(thread, crfs_emit_filled_thread)

const struct user_regset *crfs_find_regset(const struct user_regset_view *view,
					   unsigned int note)
{
	unsigned int i;

	for (i = 0; i < view->n; i++) {
		if (view->regsets[i].core_note_type == note)
			return &view->regsets[i];
	}
	return NULL;
}

/* Its registers are where the last switch put them. */
static int crfs_get_registers(struct task_struct *task, struct crfs_thread_source *thread,
			      struct user_regs_struct *regs, void *fpu, struct crfs_call *call)
{
	const struct user_regset_view *view = task_user_regset_view(task);
	const struct user_regset *general = crfs_find_regset(view, NT_PRSTATUS);
	const struct user_regset *extended = crfs_find_regset(view, NT_X86_XSTATE);
	int count;

	if (!general || !extended || extended->n * extended->size != thread->fpu_size)
		return -EOPNOTSUPP;
	count = regset_get(task, general, sizeof(*regs), regs);
	if (count < 0)
		return count;
	count = regset_get(task, extended, thread->fpu_size, fpu);
	if (count < 0)
		return count;
	thread->fpu_size = count;
	crfs_get_call(task, call);
	return 0;
}

/*
 * Its stack, where the registers are, lasts while it stands and the siglock is held: it has to
 * take that before it can end, whoever kills it.
 */
static int crfs_read_standing(struct crfs_thread_source *thread, struct user_regs_struct *regs,
			      void *fpu, struct crfs_call *call)
{
	struct task_struct *task = thread->thread->task;
	struct sighand_struct *sighand;
	enum crfs_standing standing;
	unsigned long flags;
	int err = -EAGAIN;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return -EAGAIN;
	standing = crfs_thread_standing(thread->thread);
	if (standing == CRFS_STANDS_PARKED || standing == CRFS_STANDS_STOPPED) {
		thread->blockers = crfs_thread_blockers(task);
		err = crfs_is_worker(task) ? 0 : crfs_get_registers(task, thread, regs, fpu, call);
	}
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return err;
}

/* How long an xsave area is: for all tasks of this kind the same. */
static size_t crfs_fpu_size(void)
{
	const struct user_regset *extended =
		crfs_find_regset(task_user_regset_view(current), NT_X86_XSTATE);

	return extended ? extended->n * extended->size : 0;
}

/* Emits a thread as it stands now. -EAGAIN: it does no longer. */
static int crfs_emit_standing(struct crfs_emitter *emitter, u64 id,
			      struct crfs_thread_source *thread)
{
	struct user_regs_struct regs = {};
	struct crfs_call call = { .nr = -1 };
	void *fpu = NULL;
	int err = 0;

	thread->regs = &regs;
	thread->call = &call;
	thread->blockers = 0;
	thread->fpu_size = 0;
	if (thread->state != CRFS_state_zombie) {
		thread->fpu_size = crfs_fpu_size();
		fpu = kvzalloc(thread->fpu_size, GFP_KERNEL_ACCOUNT);
		err = fpu ? crfs_read_standing(thread, &regs, fpu, &call) : -ENOMEM;
	}
	if (crfs_is_worker(thread->thread->task))
		thread->fpu_size = 0;
	thread->fpu = fpu;
	if (!err)
		err = crfs_emit_filled_thread(emitter, id, thread);
	kvfree(fpu);
	return err;
}

/*
 * A stopped thread may be continued, and then parks: what was read meanwhile is neither
 * the one state nor the other. So wait until it stands, and see whether it stood.
 */
CRFS_DECLARE_EMITTER(thread)
{
	struct crfs_thread_source thread = *from;
	struct task_struct *task = from->thread->task;
	struct crfs_stream before = *emitter->stream;
	enum crfs_standing standing;
	unsigned long switches;
	int err;

	for (;;) {
		err = crfs_thread_settle(from->thread);
		if (err)
			return err;
		standing = crfs_thread_standing(from->thread);
		switches = READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
		if (standing == CRFS_STANDS_NOT)
			continue;
		thread.state = standing == CRFS_STANDS_DEAD ? CRFS_state_zombie :
			       standing == CRFS_STANDS_STOPPED ? CRFS_state_stopped :
			       CRFS_state_running;
		err = crfs_emit_standing(emitter, id, &thread);
		if (err && err != -EAGAIN)
			return err;
		if (!err && (crfs_thread_standing(from->thread) == standing &&
			    READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw) == switches))
			return err;
		crfs_stream_rewind(emitter->stream, &before);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}
