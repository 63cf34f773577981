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

/* What time it is by a clock that timers can sleep by. */
u64 crfs_clock_now(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		return ktime_get_real();
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return ktime_get_boottime();
	case CLOCK_TAI:
		return ktime_get_clocktai();
	default:
		return ktime_get();
	}
}

static u64 crfs_time_left(u64 expires, clockid_t clock)
{
	u64 now = crfs_clock_now(clock);

	return (s64)expires > (s64)now ? expires - now : 0;
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

/* Of a cpu time clock of the task's own; U64_MAX for others, whose time left is not known. */
u64 crfs_cpu_time(struct task_struct *task, clockid_t clock)
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

/* The functions themselves are not exported: their names tell. */
u32 crfs_block_kind(const struct restart_block *block)
{
	static const struct {
		const char *name;
		u32 kind;
	} functions[] = {
		{ "hrtimer_nanosleep_restart", CRFS_restart_block_nanosleep },
		{ "alarm_timer_nsleep_restart", CRFS_restart_block_alarm_nanosleep },
		{ "posix_cpu_nsleep_restart", CRFS_restart_block_cpu_nanosleep },
		{ "do_restart_poll", CRFS_restart_block_poll },
		{ "futex_wait_restart", CRFS_restart_block_futex },
	};
	char name[64];
	unsigned int i;

	snprintf(name, sizeof(name), "%ps", block->fn);
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!strcmp(name, functions[i].name))
			return functions[i].kind;
	}
	return CRFS_restart_block_other;
}

static void crfs_get_block(struct task_struct *task, struct crfs_call *call)
{
	const struct restart_block *block = &task->restart_block;

	switch (crfs_block_kind(block)) {
	case CRFS_restart_block_nanosleep:
		crfs_get_nanosleep(block, call);
		break;
	case CRFS_restart_block_alarm_nanosleep:
		crfs_get_alarm_nanosleep(block, call);
		break;
	case CRFS_restart_block_cpu_nanosleep:
		crfs_get_cpu_nanosleep(task, block, call);
		break;
	case CRFS_restart_block_poll:
		crfs_get_poll(block, call);
		break;
	case CRFS_restart_block_futex:
		crfs_get_futex(block, call);
		break;
	default:
		call->block = CRFS_restart_block_other;
	}
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
