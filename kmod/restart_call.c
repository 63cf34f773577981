// SPDX-License-Identifier: GPL-2.0-only
/*
 * The restart block: how a system call goes on that the kernel restarts with the time that
 * is left. Its function cannot be named by a module, so the thread was interrupted in a call
 * of the same kind, and the rest is put in here.
 */
#include <linux/alarmtimer.h>
#include <linux/posix-timers.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <uapi/linux/futex.h>

#include "compat.h"
#include "objects.h"
#include "restart.h"

/* When a time that is left from now is over. */
static u64 crfs_expires(u64 now, u64 remaining)
{
	return min_t(u64, KTIME_MAX, now + remaining);
}

static void crfs_set_rest(struct restart_block *block, const struct crfs_thread *record)
{
	block->nanosleep.type = record->syscall_address ? TT_NATIVE : TT_NONE;
	block->nanosleep.rmtp = (struct __kernel_timespec __user *)record->syscall_address;
}

static int crfs_set_nanosleep(struct restart_block *block, const struct crfs_thread *record)
{
	switch ((int)record->syscall_clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		break;
	default:
		return -EINVAL;
	}
	block->nanosleep.clockid = record->syscall_clock;
	block->nanosleep.expires = crfs_expires(crfs_clock_now(record->syscall_clock),
						record->syscall_remaining);
	crfs_set_rest(block, record);
	return 0;
}

/* The waiting call was by the same clock: the kernel's number of it is there already. */
static int crfs_set_alarm_nanosleep(struct restart_block *block, const struct crfs_thread *record)
{
	bool realtime = block->nanosleep.clockid == ALARM_REALTIME;

	if (record->syscall_clock != (realtime ? CLOCK_REALTIME_ALARM : CLOCK_BOOTTIME_ALARM))
		return -EINVAL;
	block->nanosleep.expires = crfs_expires(crfs_clock_now(record->syscall_clock),
						record->syscall_remaining);
	crfs_set_rest(block, record);
	return 0;
}

static int crfs_set_cpu_nanosleep(struct task_struct *task, struct restart_block *block,
				  const struct crfs_thread *record)
{
	u64 now = crfs_cpu_time(task, record->syscall_clock);

	/* Of another's clock it is not known how much was left. */
	if (now == U64_MAX)
		return -EOPNOTSUPP;
	block->nanosleep.clockid = record->syscall_clock;
	block->nanosleep.expires = crfs_expires(now, record->syscall_remaining);
	crfs_set_rest(block, record);
	return 0;
}

static int crfs_set_poll(struct restart_block *block, const struct crfs_thread *record)
{
	struct timespec64 end;

	if (record->syscall_flags > 1 || record->syscall_value > INT_MAX)
		return -EINVAL;
	end = ns_to_timespec64(crfs_expires(ktime_get(), record->syscall_remaining));
	block->poll.ufds = (struct pollfd __user *)record->syscall_address;
	block->poll.nfds = record->syscall_value;
	block->poll.has_timeout = record->syscall_flags;
	block->poll.tv_sec = end.tv_sec;
	block->poll.tv_nsec = end.tv_nsec;
	return 0;
}

/* Flags that tell of a timeout and of the word's size are there from the waiting call. */
static int crfs_set_futex(struct restart_block *block, const struct crfs_thread *record)
{
	bool realtime = record->syscall_flags & FUTEX_CLOCK_REALTIME;

	if (record->syscall_flags & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) ||
	    record->syscall_clock != (realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC))
		return -EINVAL;
	block->futex.flags &= ~(CRFS_FUTEX_SHARED | CRFS_FUTEX_CLOCKRT);
	if (!(record->syscall_flags & FUTEX_PRIVATE_FLAG))
		block->futex.flags |= CRFS_FUTEX_SHARED;
	if (realtime)
		block->futex.flags |= CRFS_FUTEX_CLOCKRT;
	block->futex.uaddr = (u32 __user *)record->syscall_address;
	block->futex.val = record->syscall_value;
	block->futex.bitset = record->syscall_bitset;
	block->futex.time = crfs_expires(crfs_clock_now(record->syscall_clock),
					 record->syscall_remaining);
	return 0;
}

/* Nothing of the waiting call's own is to be left where restart_syscall(2) could use it. */
static void crfs_clear_block(struct restart_block *block)
{
	size_t from = offsetofend(struct restart_block, fn);

	memset((u8 *)block + from, 0, sizeof(*block) - from);
}

/**
 * crfs_set_call - put in how the interrupted system call of a thread goes on
 * @task: held, off its cpu; time counts from now
 * @record: of the thread
 *
 * Return: 0; -EINVAL: the thread waited in a call of another kind, or the record is wrong;
 * -EOPNOTSUPP: a kind of call that cannot go on.
 */
int crfs_set_call(struct task_struct *task, const struct crfs_thread *record)
{
	struct restart_block *block = &task->restart_block;
	u32 kind = crfs_block_kind(block);

	if (record->syscall_restart != CRFS_syscall_restart_block) {
		crfs_clear_block(block);
		return 0;
	}
	if (record->syscall_block == CRFS_restart_block_other)
		return -EOPNOTSUPP;
	if (record->syscall_block != kind)
		return -EINVAL;
	switch (kind) {
	case CRFS_restart_block_nanosleep:
		return crfs_set_nanosleep(block, record);
	case CRFS_restart_block_alarm_nanosleep:
		return crfs_set_alarm_nanosleep(block, record);
	case CRFS_restart_block_cpu_nanosleep:
		return crfs_set_cpu_nanosleep(task, block, record);
	case CRFS_restart_block_poll:
		return crfs_set_poll(block, record);
	default:
		return crfs_set_futex(block, record);
	}
}
