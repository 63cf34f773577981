/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernel versions. No other file looks at the version.
 */
#ifndef CRFS_KMOD_COMPAT_H
#define CRFS_KMOD_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "crfs needs Linux 6.1 or newer"
#endif

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/prctl.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uio.h>

/* FLAGS_* of kernel/futex/futex.h, which a restart block of futex(2) holds. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define CRFS_FUTEX_SHARED 0x10
#define CRFS_FUTEX_CLOCKRT 0x20
#else
#define CRFS_FUTEX_SHARED 0x01
#define CRFS_FUTEX_CLOCKRT 0x02
#endif

static inline u64 crfs_capabilities(kernel_cap_t set)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return set.val;
#else
	return set.cap[0] | (u64)set.cap[1] << 32;
#endif
}

/* Whether timer_create(2) made any. */
static inline bool crfs_has_posix_timers(const struct signal_struct *signal)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return !hlist_empty(&signal->posix_timers);
#else
	return !list_empty(&signal->posix_timers);
#endif
}

/* Null where F_SETOWN and F_SETSIG were never used. */
static inline struct fown_struct *crfs_file_owner(struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return file_f_owner(file);
#else
	return &file->f_owner;
#endif
}

/* The program's file, with a reference, or null. */
static inline struct file *crfs_exe_file(struct mm_struct *mm)
{
	struct file *file;

	rcu_read_lock();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	file = get_file_rcu(&mm->exe_file);
#else
	file = rcu_dereference(mm->exe_file);
	if (file && !get_file_rcu(file))
		file = NULL;
#endif
	rcu_read_unlock();
	return file;
}

/* The path by which user space knows a mapped file (overlayfs maps one behind it). */
static inline const struct path *crfs_file_path(struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return file_user_path(file);
#else
	return &file->f_path;
#endif
}

static inline u32 crfs_rseq_length(const struct task_struct *task)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return task->rseq ? task->rseq_len : 0;
#else
	return task->rseq ? sizeof(struct rseq) : 0;
#endif
}

/*
 * struct sem_undo_list of ipc/sem.c, which no header tells of. Every thread made by
 * pthread_create(3) has one; it counts when semop(2) with SEM_UNDO put something into it.
 */
struct crfs_sem_undo_list {
	refcount_t refcnt;
	spinlock_t lock;
	struct list_head list_proc;
};

static inline bool crfs_has_sem_undo(const struct task_struct *task)
{
#ifdef CONFIG_SYSVIPC
	const struct crfs_sem_undo_list *undo = (const void *)task->sysvsem.undo_list;

	return undo && !list_empty(&undo->list_proc);
#else
	return false;
#endif
}

/* A thread of the group that runs in the kernel alone (io_uring, vhost). */
static inline bool crfs_is_worker(const struct task_struct *task)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	return task->flags & (PF_IO_WORKER | PF_USER_WORKER);
#else
	return task->flags & PF_IO_WORKER;
#endif
}

static inline bool crfs_has_shadow_stack(const struct task_struct *task)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return task->thread.features & 1; /* ARCH_SHSTK_SHSTK */
#else
	return false;
#endif
}

static inline const char *crfs_anon_name(const struct vm_area_struct *vma)
{
#ifdef CONFIG_ANON_VMA_NAME
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	if (vma->vm_file)
		return NULL;
#endif
	return vma->anon_name ? vma->anon_name->name : NULL;
#else
	return NULL;
#endif
}

static inline long crfs_get_pages(struct mm_struct *mm, unsigned long address, unsigned long count,
				  unsigned int flags, struct page **pages, int *locked)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	return get_user_pages_remote(mm, address, count, flags, pages, locked);
#else
	return get_user_pages_remote(mm, address, count, flags, pages, NULL, locked);
#endif
}

/*
 * Up to 6.4 splice reads through an iterator into which a page goes by reference. The
 * pages of a task change after its thaw, so they must be copied.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define crfs_splice_read copy_splice_read
static inline bool crfs_iter_takes_pages(const struct iov_iter *iter)
{
	return false;
}
#else
#define crfs_splice_read generic_file_splice_read
static inline bool crfs_iter_takes_pages(const struct iov_iter *iter)
{
	return iov_iter_is_pipe(iter);
}
#endif

/* The inode that /proc shows for a file: since 6.8 a mapping of overlayfs has two. */
static inline const struct inode *crfs_file_inode(const struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return file_user_inode(file);
#else
	return file_inode(file);
#endif
}

/* The program's file of a space is counted among those that nobody may write. */
static inline int crfs_deny_write(struct file *exe)
{
#ifdef FMODE_FSNOTIFY_HSM
	return exe_file_deny_write_access(exe);
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	return deny_write_access(exe);
#else
	return 0;
#endif
}

static inline void crfs_allow_write(struct file *exe)
{
#ifdef FMODE_FSNOTIFY_HSM
	exe_file_allow_write_access(exe);
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	allow_write_access(exe);
#endif
}

/* Flags of mappings that not every kernel has. */
#ifdef VM_SEALED
#define CRFS_VM_SEALED VM_SEALED
#else
#define CRFS_VM_SEALED 0
#endif
#ifdef VM_DROPPABLE
#define CRFS_VM_DROPPABLE VM_DROPPABLE
#else
#define CRFS_VM_DROPPABLE 0
#endif

/* mmap_lock is held for writing. */
static inline void crfs_vm_flags_change(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vma_start_write(vma);
	vm_flags_reset(vma, flags);
#else
	vma->vm_flags = flags;
#endif
}

/* PR_SET_VMA_ANON_NAME; -EOPNOTSUPP where the kernel has no names. */
static inline int crfs_set_anon_name(struct vm_area_struct *vma, const char *name, size_t length)
{
#ifdef CONFIG_ANON_VMA_NAME
	struct anon_vma_name *made;

	if (vma->vm_file || length >= ANON_VMA_NAME_MAX_LEN)
		return -EINVAL;
	made = kzalloc(struct_size(made, name, length + 1), GFP_KERNEL);
	if (!made)
		return -ENOMEM;
	kref_init(&made->kref);
	memcpy(made->name, name, length);
	vma->anon_name = made;
	return 0;
#else
	return -EOPNOTSUPP;
#endif
}

/* Takes a signal from the queues of the calling thread and its group, 0: there is none. */
static inline int crfs_dequeue_signal(sigset_t *keep, kernel_siginfo_t *info)
{
	enum pid_type type;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return dequeue_signal(keep, info, &type);
#else
	return dequeue_signal(current, keep, info, &type);
#endif
}

static inline void crfs_set_restore_sigmask(struct task_struct *task, bool restore)
{
#ifdef TIF_RESTORE_SIGMASK
	if (restore)
		set_tsk_thread_flag(task, TIF_RESTORE_SIGMASK);
	else
		clear_tsk_thread_flag(task, TIF_RESTORE_SIGMASK);
#else
	task->restore_sigmask = restore;
#endif
}

/* Since 6.16 the inode of epoll, io_uring and their like looks like a regular file's. */
static inline bool crfs_is_anon_file(const struct file *file)
{
#ifdef IS_ANON_FILE
	return IS_ANON_FILE(file_inode(file));
#else
	return false;
#endif
}

/* -EINVAL for a length that this kernel does not write. */
static inline int crfs_set_rseq(struct task_struct *task, u64 address, u32 length, u32 signature)
{
	if (address && length != sizeof(struct rseq))
		return -EINVAL;
	task->rseq = (struct rseq __user *)address;
	task->rseq_sig = address ? signature : 0;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	task->rseq_len = address ? length : 0;
#endif
	return 0;
}

#endif /* CRFS_KMOD_COMPAT_H */
