// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system call that a thread was taken out of, and what is needed to go on with it.
 */
#include <linux/alarmtimer.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/posix-timers.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <uapi/linux/futex.h>

#include "compat.h"
#include "objects.h"

static u64 crfs_time_left(u64 expires, clockid_t clock)
{
	ktime_t now;

	switch (clock) {
	case CLOCK_REALTIME:
		now = ktime_get_real();
		break;
	case CLOCK_BOOTTIME:
		now = ktime_get_boottime();
		break;
	case CLOCK_TAI:
		now = ktime_get_clocktai();
		break;
	default:
		now = ktime_get();
	}
	return (s64)expires > now ? expires - now : 0;
}

static void crfs_get_nanosleep(const struct restart_block *block, struct crfs_call *call)
{
	call->block = CRFS_restart_block_nanosleep;
	call->clock = block->nanosleep.clockid;
	call->remaining = crfs_time_left(block->nanosleep.expires, block->nanosleep.clockid);
	if (block->nanosleep.type != TT_NONE)
		call->address = (unsigned long)block->nanosleep.rmtp;
	/* nanosleep(2) sleeps by the monotonic clock, and clock_nanosleep(2) may. */
	if (call->nr == __NR_restart_syscall)
		call->nr = call->clock == CLOCK_MONOTONIC ? __NR_nanosleep : __NR_clock_nanosleep;
}

static void crfs_get_alarm_nanosleep(const struct restart_block *block, struct crfs_call *call)
{
	bool realtime = block->nanosleep.clockid == ALARM_REALTIME;

	call->block = CRFS_restart_block_alarm_nanosleep;
	call->clock = realtime ? CLOCK_REALTIME_ALARM : CLOCK_BOOTTIME_ALARM;
	call->remaining = crfs_time_left(block->nanosleep.expires,
					 realtime ? CLOCK_REALTIME : CLOCK_BOOTTIME);
	if (block->nanosleep.type != TT_NONE)
		call->address = (unsigned long)block->nanosleep.rmtp;
	if (call->nr == __NR_restart_syscall)
		call->nr = __NR_clock_nanosleep;
}

/* The time left is of cpu time: known for a clock of the task's own, else it is 0. */
static u64 crfs_cpu_time(struct task_struct *task, clockid_t clock)
{
	struct task_struct *thread;
	u64 time;

	if (CPUCLOCK_PID(clock) || CPUCLOCK_WHICH(clock) != CPUCLOCK_SCHED)
		return U64_MAX;
	if (CPUCLOCK_PERTHREAD(clock))
		return task->se.sum_exec_runtime;
	rcu_read_lock();
	time = task->signal->sum_sched_runtime;
	__for_each_thread(task->signal, thread)
		time += READ_ONCE(thread->se.sum_exec_runtime);
	rcu_read_unlock();
	return time;
}

static void crfs_get_cpu_nanosleep(struct task_struct *task, const struct restart_block *block,
				   struct crfs_call *call)
{
	u64 now = crfs_cpu_time(task, block->nanosleep.clockid);

	call->block = CRFS_restart_block_cpu_nanosleep;
	call->clock = block->nanosleep.clockid;
	if (block->nanosleep.expires > now)
		call->remaining = block->nanosleep.expires - now;
	if (block->nanosleep.type != TT_NONE)
		call->address = (unsigned long)block->nanosleep.rmtp;
	if (call->nr == __NR_restart_syscall)
		call->nr = __NR_clock_nanosleep;
}

static void crfs_get_poll(const struct restart_block *block, struct crfs_call *call)
{
	struct timespec64 end = { block->poll.tv_sec, block->poll.tv_nsec };

	call->block = CRFS_restart_block_poll;
	call->clock = CLOCK_MONOTONIC;
	call->flags = block->poll.has_timeout;
	if (block->poll.has_timeout)
		call->remaining = crfs_time_left(timespec64_to_ns(&end), CLOCK_MONOTONIC);
	call->address = (unsigned long)block->poll.ufds;
	call->value = (u32)block->poll.nfds;
	if (call->nr == __NR_restart_syscall)
		call->nr = __NR_poll;
}

static void crfs_get_futex(const struct restart_block *block, struct crfs_call *call)
{
	bool realtime = block->futex.flags & CRFS_FUTEX_CLOCKRT;

	call->block = CRFS_restart_block_futex;
	call->clock = realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	/* As futex(2) takes them: the kernel's own differ between versions. */
	call->flags = (block->futex.flags & CRFS_FUTEX_SHARED ? 0 : FUTEX_PRIVATE_FLAG) |
		      (realtime ? FUTEX_CLOCK_REALTIME : 0);
	call->remaining = crfs_time_left(block->futex.time, call->clock);
	call->address = (unsigned long)block->futex.uaddr;
	call->value = block->futex.val;
	call->bitset = block->futex.bitset;
	if (call->nr == __NR_restart_syscall)
		call->nr = __NR_futex;
}

static void crfs_get_block(struct task_struct *task, struct crfs_call *call)
{
	const struct restart_block *block = &task->restart_block;
	char name[64];

	snprintf(name, sizeof(name), "%ps", block->fn);
	if (!strcmp(name, "hrtimer_nanosleep_restart"))
		crfs_get_nanosleep(block, call);
	else if (!strcmp(name, "alarm_timer_nsleep_restart"))
		crfs_get_alarm_nanosleep(block, call);
	else if (!strcmp(name, "posix_cpu_nsleep_restart"))
		crfs_get_cpu_nanosleep(task, block, call);
	else if (!strcmp(name, "do_restart_poll"))
		crfs_get_poll(block, call);
	else if (!strcmp(name, "futex_wait_restart"))
		crfs_get_futex(block, call);
	else
		call->block = CRFS_restart_block_other;
}

static u32 crfs_restart_word(long ax)
{
	switch (ax) {
	case -EINTR:
		return CRFS_syscall_restart_intr;
	case -ERESTARTSYS:
		return CRFS_syscall_restart_sys;
	case -ERESTARTNOINTR:
		return CRFS_syscall_restart_nointr;
	case -ERESTARTNOHAND:
		return CRFS_syscall_restart_nohand;
	case -ERESTART_RESTARTBLOCK:
		return CRFS_syscall_restart_block;
	default:
		return CRFS_syscall_restart_none;
	}
}

/**
 * crfs_get_call - how the interrupted system call of a thread goes on
 * @task: parked, or stopped off its cpu
 * @call: out
 */
void crfs_get_call(struct task_struct *task, struct crfs_call *call)
{
	const struct pt_regs *regs = task_pt_regs(task);

	memset(call, 0, sizeof(*call));
	call->nr = -1;
	if ((long)regs->orig_ax < 0)
		return;
	call->restart = crfs_restart_word(regs->ax);
	if (call->restart == CRFS_syscall_restart_none)
		return;
	call->nr = regs->orig_ax;
	if (call->restart == CRFS_syscall_restart_block)
		crfs_get_block(task, call);
}
