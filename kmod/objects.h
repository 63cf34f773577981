/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything found in the frozen tasks, by type: the sources that the getters read.
 *
 * An id is a place in its type's table, from 1. Shared objects are found again by the
 * kernel's pointer, so one struct file is one object. What an entry points to is kept by
 * a reference of its own (the comment at each pointer says so) until the capture is over;
 * only mm and shmem are kept after it.
 */
#ifndef CRFS_KMOD_OBJECTS_H
#define CRFS_KMOD_OBJECTS_H

#include <linux/path.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/types.h>
#include <asm/ptrace.h>
#include <asm/user.h>

#include <crfs/schema.h>

struct crfs_session;
struct crfs_group;
struct crfs_member;

/* What makes a shared object the same: one pointer, or two for a bare path. */
struct crfs_key {
	const void *first;
	const void *second;
};

/* Each keyed source begins with its key; the others are only ever appended. */
struct crfs_table {
	u8 *entries;
	size_t entry_size;
	u64 count;
	u64 capacity;
	u32 *slots;		/* ids by hash of the key, 0: empty; null: not keyed */
	u64 slot_count;		/* a power of two */
};

void *crfs_table_add(struct crfs_table *table);
u64 crfs_table_find(const struct crfs_table *table, struct crfs_key key);
void *crfs_table_add_key(struct crfs_table *table, struct crfs_key key);
static inline void *crfs_table_at(const struct crfs_table *table, u64 id)
{
	return table->entries + (id - 1) * table->entry_size;
}

struct crfs_pipe_source {
	struct crfs_key key;	/* the inode */
	struct inode *inode;	/* kept by a file of the file table */
	struct pipe_inode_info *pipe;
};

struct crfs_shmem_source {
	struct crfs_key key;	/* the inode */
	struct file *file;	/* opened for this; owned */
};

struct crfs_file_source {
	struct crfs_key key;	/* the file, or mount and dentry */
	struct file *file;	/* with a reference, or null for a bare path */
	struct path path;	/* with a reference if file is null */
	u64 pipe;
	u64 shmem;
	/* While it is emitted: */
	const struct kstat *stat;
	const char *name;
	u32 kind;
	bool deleted;
};

struct crfs_fs_source {
	struct crfs_key key;	/* the fs_struct */
	u32 umask;
	u64 cwd;
	u64 root;
};

struct crfs_mm_source {
	struct crfs_key key;	/* the mm */
	struct mm_struct *mm;	/* mm_count is held; mm_users by its tasks until the thaw */
	u64 exe;
	u32 blockers;
	u32 users;		/* threads in the session that use it */
};

struct crfs_vma_source {
	u64 mm;
	u64 start;
	u64 end;
	u64 vm_flags;		/* of the kernel */
	u64 offset;
	u64 file;
	u64 shmem;
	char *name;		/* owned, or null */
	u32 kind;
};

struct crfs_fdtable_source {
	struct crfs_key key;	/* the files_struct */
	u64 size;
	u32 users;		/* threads in the session that use it */
};

struct crfs_fd_source {
	u64 fdtable;
	u64 file;
	u32 fd;
	u32 cloexec;
};

struct crfs_sighand_source {
	struct crfs_key key;	/* the sighand_struct */
	u32 users;
};

struct crfs_sigaction_source {
	u64 sighand;
	u64 signal;
	struct sigaction action;
};

struct crfs_cred_source {
	struct crfs_key key;	/* the cred */
	const struct cred *cred; /* with a reference */
};

/* A pending signal of a task or of a thread: the same but for the type's name. */
#define CRFS_SIGNAL_SOURCE(object, owner)	\
	struct crfs_##object##_source {		\
		u64 owner;			\
		u64 index;			\
		u32 signo;			\
		u32 queued;			\
		kernel_siginfo_t info;		\
	}
CRFS_SIGNAL_SOURCE(signal, task);
CRFS_SIGNAL_SOURCE(thread_signal, thread);

struct crfs_task_source {
	struct crfs_group *task;
	u64 mm;
	u64 fd;
	u64 fs;
	u64 sighand;
	u32 blockers;
	/* While it is emitted: */
	const struct rlimit *limits;
	const struct crfs_itimers *itimers;
};

/* The interrupted system call of a thread. */
struct crfs_call {
	s64 nr;
	u32 restart;
	u32 block;
	u32 clock;
	u32 flags;
	u64 remaining;
	u64 address;
	u64 value;
	u64 bitset;
};

struct crfs_thread_source {
	struct crfs_member *thread;
	u64 task;
	u64 cred;
	u32 state;
	u32 blockers;
	/* While it is emitted: */
	const struct user_regs_struct *regs;
	const void *fpu;
	size_t fpu_size;
	const struct crfs_call *call;
};

/* One extent of an owner's saved memory. */
struct crfs_extent_source {
	u32 owner_type;
	u64 owner_id;
	u64 offset;
	u64 length;
};

struct crfs_objects {
	struct crfs_table pipe;
	struct crfs_table shmem;
	struct crfs_table file;
	struct crfs_table fs;
	struct crfs_table mm;
	struct crfs_table vma;
	struct crfs_table fdtable;
	struct crfs_table fd;
	struct crfs_table sighand;
	struct crfs_table sigaction;
	struct crfs_table cred;
	struct crfs_table task;
	struct crfs_table signal;
	struct crfs_table thread;
	struct crfs_table thread_signal;
	struct crfs_table extent;	/* of all owners, in the order of the records */
};

void crfs_objects_init(struct crfs_objects *objects);
void crfs_objects_trim(struct crfs_objects *objects);
void crfs_objects_free(struct crfs_objects *objects);

/* collect.c: fills the tables. The session's lock is held. */
int crfs_collect(struct crfs_session *session, struct crfs_group **fault);

/* collect_file.c */
int crfs_collect_files(struct crfs_objects *objects, struct task_struct *task, u64 *id);
int crfs_collect_fs(struct crfs_objects *objects, struct task_struct *task, u64 *id);
int crfs_collect_file(struct crfs_objects *objects, struct file *file, u64 *id);
int crfs_collect_shmem(struct crfs_objects *objects, struct file *file, u64 *id);
bool crfs_is_shmem(struct file *file);
bool crfs_is_memfd(struct file *file);

/* collect_mm.c */
int crfs_collect_mm(struct crfs_objects *objects, struct mm_struct *mm, u64 *id);

/* get_signal.c */
int crfs_collect_signals(struct crfs_objects *objects, struct crfs_table *table,
			 struct task_struct *task, bool shared, u64 owner);
struct sighand_struct *crfs_lock_sighand(struct task_struct *task, unsigned long *flags);

/* get_file.c */
const char *crfs_path_name(const struct path *path, char *buffer, size_t size);

/* get_task.c, get_thread.c, get_mm.c: states that cannot be restarted. */
u32 crfs_task_blockers(struct crfs_group *task);
u32 crfs_thread_blockers(struct task_struct *task);
u32 crfs_mm_blockers(struct mm_struct *mm);
u32 crfs_vma_blockers(struct vm_area_struct *vma, u32 kind);

/* get_thread.c */
struct user_regset_view;
const struct user_regset *crfs_find_regset(const struct user_regset_view *view,
					   unsigned int note);

/* get_task.c */
struct crfs_body_buffer;
int crfs_append_pids(struct crfs_body_buffer *body, struct task_struct *task);

/* get_syscall.c */
void crfs_get_call(struct task_struct *task, struct crfs_call *call);
u32 crfs_block_kind(const struct restart_block *block);
u64 crfs_clock_now(clockid_t clock);
u64 crfs_cpu_time(struct task_struct *task, clockid_t clock);

/* get_vma.c */
u64 crfs_vma_flags(u64 vm_flags);
u64 crfs_vm_flags(u64 words);

/* extents.c: appends to objects->extent. */
int crfs_vma_extents(struct crfs_objects *objects, struct vm_area_struct *vma, u64 id);
int crfs_whole_extent(struct crfs_objects *objects, struct vm_area_struct *vma, u64 id);
int crfs_shmem_extents(struct crfs_objects *objects, u64 id);

#endif /* CRFS_KMOD_OBJECTS_H */
