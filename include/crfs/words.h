/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * The words that stand for numbers in the tree: enumerations and flag bits.
 *
 * Each list is WORD(value, name). The values are part of the image format: they are
 * never renumbered, and new words go at the end. Lists whose values are the kernel's own
 * user-visible constants (O_*, SA_*, signal and capability numbers of x86-64) say so;
 * the others are crfs's own, because the kernel's numbers differ between versions.
 *
 * Two kinds of list: CRFS_ENUM_x has one word a value, CRFS_BITS_x one word a bit number.
 */
#ifndef CRFS_WORDS_H
#define CRFS_WORDS_H

/* Which engine took the checkpoint. */
#define CRFS_ENUM_engine(WORD) \
	WORD(1, kernel)        \
	WORD(2, ptrace)

/* State of a thread, or of a whole thread group, when it was frozen. */
#define CRFS_ENUM_state(WORD) \
	WORD(1, running)      \
	WORD(2, stopped)      \
	WORD(3, zombie)

/* What a file (open file description, or a bare path such as a cwd) is. */
#define CRFS_ENUM_file_kind(WORD) \
	WORD(1, regular)          \
	WORD(2, directory)        \
	WORD(3, path)             \
	WORD(4, pipe)             \
	WORD(5, fifo)             \
	WORD(6, chardev)          \
	WORD(7, blockdev)         \
	WORD(8, socket)           \
	WORD(9, shmem)            \
	WORD(10, tty)             \
	WORD(11, epoll)           \
	WORD(12, eventfd)         \
	WORD(13, timerfd)         \
	WORD(14, signalfd)        \
	WORD(15, inotify)         \
	WORD(16, fanotify)        \
	WORD(17, pidfd)           \
	WORD(18, userfaultfd)     \
	WORD(19, io_uring)        \
	WORD(20, bpf)             \
	WORD(21, perf_event)      \
	WORD(22, symlink)         \
	WORD(23, proc)            \
	WORD(24, ns)              \
	WORD(25, other)

/* Namespace kinds, by their names in /proc/PID/ns. */
#define CRFS_ENUM_ns_kind(WORD) \
	WORD(1, mnt)            \
	WORD(2, uts)            \
	WORD(3, ipc)            \
	WORD(4, pid)            \
	WORD(5, net)            \
	WORD(6, user)           \
	WORD(7, cgroup)         \
	WORD(8, time)

/* What a vma maps. */
#define CRFS_ENUM_vma_kind(WORD) \
	WORD(1, anon)            \
	WORD(2, file)            \
	WORD(3, shmem)           \
	WORD(4, heap)            \
	WORD(5, stack)           \
	WORD(6, vdso)            \
	WORD(7, vvar)            \
	WORD(8, special)

/* SCHED_* of sched(7); the kernel's values. */
#define CRFS_ENUM_sched_policy(WORD) \
	WORD(0, other)               \
	WORD(1, fifo)                \
	WORD(2, rr)                  \
	WORD(3, batch)               \
	WORD(5, idle)                \
	WORD(6, deadline)            \
	WORD(7, ext)

/* /proc/PID/status Seccomp; the kernel's values. */
#define CRFS_ENUM_seccomp(WORD) \
	WORD(0, disabled)       \
	WORD(1, strict)         \
	WORD(2, filter)

/*
 * How an interrupted system call goes on when its thread next runs. `none`: the thread
 * was not in a call, or the call had finished. `intr`: it returns EINTR. The others are
 * the kernel's ERESTART* codes; `block` needs what stands in syscall/.
 */
#define CRFS_ENUM_syscall_restart(WORD) \
	WORD(0, none)                   \
	WORD(1, intr)                   \
	WORD(2, sys)                    \
	WORD(3, nointr)                 \
	WORD(4, nohand)                 \
	WORD(5, block)

/* Which call a restart block belongs to (its function, in the kernel). */
#define CRFS_ENUM_restart_block(WORD) \
	WORD(0, none)                 \
	WORD(1, nanosleep)            \
	WORD(2, poll)                 \
	WORD(3, futex)                \
	WORD(4, cpu_nanosleep)        \
	WORD(5, alarm_nanosleep)      \
	WORD(6, other)

/* vma flags, by their names in /proc/PID/smaps VmFlags (proc(5)); bits are crfs's own. */
#define CRFS_BITS_vma_flags(WORD) \
	WORD(0, rd)               \
	WORD(1, wr)               \
	WORD(2, ex)               \
	WORD(3, sh)               \
	WORD(4, mr)               \
	WORD(5, mw)               \
	WORD(6, me)               \
	WORD(7, ms)               \
	WORD(8, gd)               \
	WORD(9, pf)               \
	WORD(10, lo)              \
	WORD(11, io)              \
	WORD(12, sr)              \
	WORD(13, rr)              \
	WORD(14, dc)              \
	WORD(15, de)              \
	WORD(16, ac)              \
	WORD(17, nr)              \
	WORD(18, ht)              \
	WORD(19, sf)              \
	WORD(20, ar)              \
	WORD(21, wf)              \
	WORD(22, dd)              \
	WORD(23, mm)              \
	WORD(24, hg)              \
	WORD(25, nh)              \
	WORD(26, mg)              \
	WORD(27, um)              \
	WORD(28, uw)              \
	WORD(29, ui)              \
	WORD(30, ss)              \
	WORD(31, sl)              \
	WORD(32, lf)              \
	WORD(33, dp)

/* open(2) flags of x86-64 as F_GETFL shows them; bits of the kernel's own values. The
 * access mode (the lowest two bits) is not in the list: its words are O_RDONLY, O_WRONLY,
 * O_RDWR and, for 3, O_ACCMODE.
 */
#define CRFS_BITS_open_flags(WORD) \
	WORD(6, O_CREAT)           \
	WORD(7, O_EXCL)            \
	WORD(8, O_NOCTTY)          \
	WORD(9, O_TRUNC)           \
	WORD(10, O_APPEND)         \
	WORD(11, O_NONBLOCK)       \
	WORD(12, O_DSYNC)          \
	WORD(13, O_ASYNC)          \
	WORD(14, O_DIRECT)         \
	WORD(15, O_LARGEFILE)      \
	WORD(16, O_DIRECTORY)      \
	WORD(17, O_NOFOLLOW)       \
	WORD(18, O_NOATIME)        \
	WORD(19, O_CLOEXEC)        \
	WORD(20, O_SYNC)           \
	WORD(21, O_PATH)           \
	WORD(22, O_TMPFILE)

/* sigaction(2) sa_flags of x86-64; bits of the kernel's own values. */
#define CRFS_BITS_sa_flags(WORD)      \
	WORD(0, SA_NOCLDSTOP)         \
	WORD(1, SA_NOCLDWAIT)         \
	WORD(2, SA_SIGINFO)           \
	WORD(10, SA_UNSUPPORTED)      \
	WORD(11, SA_EXPOSE_TAGBITS)   \
	WORD(26, SA_RESTORER)         \
	WORD(27, SA_ONSTACK)          \
	WORD(28, SA_RESTART)          \
	WORD(30, SA_NODEFER)          \
	WORD(31, SA_RESETHAND)

/* sigaltstack(2) ss_flags; bits of the kernel's own values. */
#define CRFS_BITS_ss_flags(WORD)  \
	WORD(0, SS_ONSTACK)       \
	WORD(1, SS_DISABLE)       \
	WORD(31, SS_AUTODISARM)

/* prctl(2) PR_SET_SECUREBITS; the kernel's bits. */
#define CRFS_BITS_securebits(WORD)               \
	WORD(0, noroot)                          \
	WORD(1, noroot_locked)                   \
	WORD(2, no_setuid_fixup)                 \
	WORD(3, no_setuid_fixup_locked)          \
	WORD(4, keep_caps)                       \
	WORD(5, keep_caps_locked)                \
	WORD(6, no_cap_ambient_raise)            \
	WORD(7, no_cap_ambient_raise_locked)     \
	WORD(8, exec_restrict_file)              \
	WORD(9, exec_restrict_file_locked)       \
	WORD(10, exec_deny_interactive)          \
	WORD(11, exec_deny_interactive_locked)

/*
 * States of a task, thread or mm that crfs sees but cannot restart; `blockers` rows hold
 * them and an ordinary checkpoint is refused while any is set.
 */
#define CRFS_BITS_blockers(WORD)   \
	WORD(0, ptraced)           \
	WORD(1, compat)            \
	WORD(2, ioperm)            \
	WORD(3, notsc)             \
	WORD(4, ldt)               \
	WORD(5, posix_timers)      \
	WORD(6, aio)               \
	WORD(7, sem_undo)          \
	WORD(8, uprobes)           \
	WORD(9, mempolicy)         \
	WORD(10, io_uring)         \
	WORD(11, syscall_dispatch) \
	WORD(12, userfault)        \
	WORD(13, keyrings)         \
	WORD(14, perf)             \
	WORD(15, shared_outside)   \
	WORD(16, debug_registers)  \
	WORD(17, shadow_stack)     \
	WORD(18, coredumping)      \
	WORD(19, exiting)          \
	WORD(20, hugetlb)          \
	WORD(21, device_memory)    \
	WORD(22, pkeys)

/* capabilities(7); the kernel's numbers. */
#define CRFS_BITS_capabilities(WORD)        \
	WORD(0, cap_chown)                  \
	WORD(1, cap_dac_override)           \
	WORD(2, cap_dac_read_search)        \
	WORD(3, cap_fowner)                 \
	WORD(4, cap_fsetid)                 \
	WORD(5, cap_kill)                   \
	WORD(6, cap_setgid)                 \
	WORD(7, cap_setuid)                 \
	WORD(8, cap_setpcap)                \
	WORD(9, cap_linux_immutable)        \
	WORD(10, cap_net_bind_service)      \
	WORD(11, cap_net_broadcast)         \
	WORD(12, cap_net_admin)             \
	WORD(13, cap_net_raw)               \
	WORD(14, cap_ipc_lock)              \
	WORD(15, cap_ipc_owner)             \
	WORD(16, cap_sys_module)            \
	WORD(17, cap_sys_rawio)             \
	WORD(18, cap_sys_chroot)            \
	WORD(19, cap_sys_ptrace)            \
	WORD(20, cap_sys_pacct)             \
	WORD(21, cap_sys_admin)             \
	WORD(22, cap_sys_boot)              \
	WORD(23, cap_sys_nice)              \
	WORD(24, cap_sys_resource)          \
	WORD(25, cap_sys_time)              \
	WORD(26, cap_sys_tty_config)        \
	WORD(27, cap_mknod)                 \
	WORD(28, cap_lease)                 \
	WORD(29, cap_audit_write)           \
	WORD(30, cap_audit_control)         \
	WORD(31, cap_setfcap)               \
	WORD(32, cap_mac_override)          \
	WORD(33, cap_mac_admin)             \
	WORD(34, cap_syslog)                \
	WORD(35, cap_wake_alarm)            \
	WORD(36, cap_block_suspend)         \
	WORD(37, cap_audit_read)            \
	WORD(38, cap_perfmon)               \
	WORD(39, cap_bpf)                   \
	WORD(40, cap_checkpoint_restore)

/* Every list once, so that C constants and C++ tables cannot drift apart. */
#define CRFS_ENUM_LISTS(LIST)      \
	LIST(engine)               \
	LIST(state)                \
	LIST(file_kind)            \
	LIST(ns_kind)              \
	LIST(vma_kind)             \
	LIST(sched_policy)         \
	LIST(seccomp)              \
	LIST(syscall_restart)      \
	LIST(restart_block)

#define CRFS_BITS_LISTS(LIST)      \
	LIST(vma_flags)            \
	LIST(open_flags)           \
	LIST(sa_flags)             \
	LIST(ss_flags)             \
	LIST(securebits)           \
	LIST(blockers)             \
	LIST(capabilities)

/* C constants: CRFS_file_kind_pipe, CRFS_vma_flags_gd (a bit number), ... */
#define CRFS_WORD_engine(value, name) CRFS_engine_##name = value,
#define CRFS_WORD_state(value, name) CRFS_state_##name = value,
#define CRFS_WORD_file_kind(value, name) CRFS_file_kind_##name = value,
#define CRFS_WORD_ns_kind(value, name) CRFS_ns_kind_##name = value,
#define CRFS_WORD_vma_kind(value, name) CRFS_vma_kind_##name = value,
#define CRFS_WORD_syscall_restart(value, name) CRFS_syscall_restart_##name = value,
#define CRFS_WORD_restart_block(value, name) CRFS_restart_block_##name = value,
#define CRFS_WORD_vma_flags(value, name) CRFS_vma_flags_##name = value,
#define CRFS_WORD_blockers(value, name) CRFS_blockers_##name = value,
enum crfs_engine { CRFS_ENUM_engine(CRFS_WORD_engine) };
enum crfs_state { CRFS_ENUM_state(CRFS_WORD_state) };
enum crfs_file_kind { CRFS_ENUM_file_kind(CRFS_WORD_file_kind) };
enum crfs_ns_kind { CRFS_ENUM_ns_kind(CRFS_WORD_ns_kind) };
enum crfs_vma_kind { CRFS_ENUM_vma_kind(CRFS_WORD_vma_kind) };
enum crfs_syscall_restart { CRFS_ENUM_syscall_restart(CRFS_WORD_syscall_restart) };
enum crfs_restart_block { CRFS_ENUM_restart_block(CRFS_WORD_restart_block) };
enum crfs_vma_flags { CRFS_BITS_vma_flags(CRFS_WORD_vma_flags) };
enum crfs_blockers { CRFS_BITS_blockers(CRFS_WORD_blockers) };

#endif /* CRFS_WORDS_H */
