// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread group.
 */
#include <linux/bits.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/sched/coredump.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "emit.h"
#include "session.h"

/* ARG_MAX for the two together is less; prctl(2) may claim more. */
#define CRFS_STRINGS_MAX (6U << 20)

struct crfs_itimer {
	u64 value;
	u64 interval;
};

struct crfs_itimers {
	struct crfs_itimer real;
	struct crfs_itimer virt;
	struct crfs_itimer prof;
};

/* A timer that is due is about to send its signal: it never reads as off. */
static u64 crfs_left(u64 expires, u64 now)
{
	return expires > now ? expires - now : 1;
}

static void crfs_get_cpu_itimer(const struct cpu_itimer *timer, u64 now, struct crfs_itimer *out)
{
	out->interval = timer->incr;
	out->value = timer->expires ? crfs_left(timer->expires, now) : 0;
}

static void crfs_get_itimers(struct task_struct *task, struct crfs_itimers *out)
{
	struct signal_struct *signal = task->signal;
	struct task_cputime_atomic *times = &signal->cputimer.cputime_atomic;
	struct sighand_struct *sighand;
	unsigned long flags;
	u64 user, system;

	sighand = crfs_lock_sighand(task, &flags);
	if (!sighand)
		return;
	if (hrtimer_active(&signal->real_timer))
		out->real.value = max_t(s64, hrtimer_get_remaining(&signal->real_timer), 1);
	out->real.interval = ktime_to_ns(signal->it_real_incr);
	/* The group's times are kept up to date while one of these timers is on. */
	user = atomic64_read(&times->utime);
	system = atomic64_read(&times->stime);
	crfs_get_cpu_itimer(&signal->it[CPUCLOCK_VIRT], user, &out->virt);
	crfs_get_cpu_itimer(&signal->it[CPUCLOCK_PROF], user + system, &out->prof);
	spin_unlock_irqrestore(&sighand->siglock, flags);
}

u32 crfs_task_blockers(struct crfs_group *task)
{
	const struct signal_struct *signal = task->leader->signal;
	u32 blockers = 0;

	if (crfs_has_posix_timers(signal))
		blockers |= BIT(CRFS_blockers_posix_timers);
	if (signal->core_state)
		blockers |= BIT(CRFS_blockers_coredumping);
	if (task->mm && signal->flags & SIGNAL_GROUP_EXIT)
		blockers |= BIT(CRFS_blockers_exiting);
	return blockers;
}

static u32 crfs_task_state(const struct crfs_group *task)
{
	const struct signal_struct *signal = task->leader->signal;

	if (!task->mm)
		return CRFS_state_zombie;
	if (signal->flags & SIGNAL_STOP_STOPPED || signal->group_stop_count)
		return CRFS_state_stopped;
	return CRFS_state_running;
}

/*
 * As wait(2) gives it: the group's, if the group ended as one. Of a stopped one it is the
 * signal, until its parent has asked.
 */
static u32 crfs_exit_code(const struct crfs_group *task)
{
	const struct signal_struct *signal = task->leader->signal;

	if (task->mm)
		return signal->flags & SIGNAL_STOP_STOPPED ? signal->group_exit_code : 0;
	return signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code
						 : task->leader->exit_code;
}

static u32 crfs_parent(struct task_struct *task)
{
	u32 pid;

	rcu_read_lock();
	pid = task_tgid_nr_ns(rcu_dereference(task->real_parent), task_active_pid_ns(current));
	rcu_read_unlock();
	return pid;
}

#define CRFS_LEADER (from->task->leader)
#define CRFS_NS task_active_pid_ns(current)

CRFS_GET(task, pid, pid_nr_ns(from->task->pid, CRFS_NS))
CRFS_GET(task, ppid, crfs_parent(CRFS_LEADER))
CRFS_GET(task, pgid, task_pgrp_nr_ns(CRFS_LEADER, CRFS_NS))
CRFS_GET(task, sid, task_session_nr_ns(CRFS_LEADER, CRFS_NS))
CRFS_GET(task, state, crfs_task_state(from->task))
CRFS_GET(task, exit_code, crfs_exit_code(from->task))
CRFS_GET(task, exit_signal, max(CRFS_LEADER->exit_signal, 0))
CRFS_GET(task, oom_score_adj, CRFS_LEADER->signal->oom_score_adj)
CRFS_GET(task, child_subreaper, from->task->mm && CRFS_LEADER->signal->is_child_subreaper)
CRFS_GET(task, blockers, from->blockers | crfs_task_blockers(from->task))
CRFS_GET(task, mm, from->mm)
CRFS_GET(task, fd, from->fd)
CRFS_GET(task, fs, from->fs)
CRFS_GET(task, sighand, from->sighand)
CRFS_GET(task, itimer_real_value, from->itimers->real.value)
CRFS_GET(task, itimer_real_interval, from->itimers->real.interval)
CRFS_GET(task, itimer_virtual_value, from->itimers->virt.value)
CRFS_GET(task, itimer_virtual_interval, from->itimers->virt.interval)
CRFS_GET(task, itimer_prof_value, from->itimers->prof.value)
CRFS_GET(task, itimer_prof_interval, from->itimers->prof.interval)

/* RLIM_INFINITY is all ones, here as there. */
#define CRFS_LIMIT(limit, number)							\
	CRFS_GET(task, rlimit_##limit##_soft, from->limits[number].rlim_cur)	\
	CRFS_GET(task, rlimit_##limit##_hard, from->limits[number].rlim_max)

CRFS_LIMIT(cpu, RLIMIT_CPU)
CRFS_LIMIT(fsize, RLIMIT_FSIZE)
CRFS_LIMIT(data, RLIMIT_DATA)
CRFS_LIMIT(stack, RLIMIT_STACK)
CRFS_LIMIT(core, RLIMIT_CORE)
CRFS_LIMIT(rss, RLIMIT_RSS)
CRFS_LIMIT(nproc, RLIMIT_NPROC)
CRFS_LIMIT(nofile, RLIMIT_NOFILE)
CRFS_LIMIT(memlock, RLIMIT_MEMLOCK)
CRFS_LIMIT(as, RLIMIT_AS)
CRFS_LIMIT(locks, RLIMIT_LOCKS)
CRFS_LIMIT(sigpending, RLIMIT_SIGPENDING)
CRFS_LIMIT(msgqueue, RLIMIT_MSGQUEUE)
CRFS_LIMIT(nice, RLIMIT_NICE)
CRFS_LIMIT(rtprio, RLIMIT_RTPRIO)
CRFS_LIMIT(rttime, RLIMIT_RTTIME)

/* A pid in each namespace from the caller's inwards. */
int crfs_append_pids(struct crfs_body_buffer *body, struct task_struct *task)
{
	struct pid *pid = get_task_pid(task, PIDTYPE_PID);
	unsigned int level = task_active_pid_ns(current)->level;
	int err = 0;

	for (; pid && !err && level <= pid->level; level++) {
		__le32 number = cpu_to_le32(pid->numbers[level].nr);

		err = crfs_body_append(body, &number, sizeof(number));
	}
	put_pid(pid);
	return err;
}

CRFS_GET_BYTES(task, nspid)
{
	return crfs_append_pids(body, from->task->leader);
}

/* As far as it can be read: a task may have unmapped its own arguments. */
static int crfs_append_memory(struct crfs_body_buffer *body, struct mm_struct *mm, u64 start,
			      u64 end)
{
	size_t length, before = body->length;
	ssize_t count;
	void *room;

	if (end <= start)
		return 0;
	length = min_t(u64, end - start, CRFS_STRINGS_MAX);
	room = crfs_body_extend(body, length);
	if (!room)
		return -ENOMEM;
	count = crfs_mm_read(mm, start, room, length);
	body->length = before + max_t(ssize_t, count, 0);
	return count == -EINTR ? -EINTR : 0;
}

CRFS_GET_BYTES(task, argv)
{
	struct mm_struct *mm = from->task->mm;

	return mm ? crfs_append_memory(body, mm, mm->arg_start, mm->arg_end) : 0;
}

CRFS_GET_BYTES(task, environ)
{
	struct mm_struct *mm = from->task->mm;

	return mm ? crfs_append_memory(body, mm, mm->env_start, mm->env_end) : 0;
}

static CRFS_DEFINE_NAMED_EMITTER(task, crfs_emit_filled_task)

CRFS_DECLARE_EMITTER(task)
{
	struct crfs_task_source task = *from;
	struct rlimit limits[RLIM_NLIMITS];
	struct crfs_itimers itimers = {};

	task_lock(from->task->leader);
	memcpy(limits, from->task->leader->signal->rlim, sizeof(limits));
	task_unlock(from->task->leader);
	if (from->task->mm)
		crfs_get_itimers(from->task->leader, &itimers);
	task.limits = limits;
	task.itimers = &itimers;
	return crfs_emit_filled_task(emitter, id, &task);
}
