/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records that a restart is made from, taken from user space and believed only as far
 * as they were checked.
 */
#ifndef CRFS_KMOD_RESTART_RECORDS_H
#define CRFS_KMOD_RESTART_RECORDS_H

#include <linux/types.h>
#include <linux/uio.h>

#include <crfs/image.h>
#include <crfs/schema.h>

/* The types that a restart takes, in the order of their tags. */
#define CRFS_RESTART_TYPES(TYPE) \
	TYPE(mm)                 \
	TYPE(vma)                \
	TYPE(sighand)            \
	TYPE(sigaction)          \
	TYPE(task)               \
	TYPE(signal)             \
	TYPE(thread)             \
	TYPE(thread_signal)

#define CRFS_RESTART_TYPE_COUNT(name) +1
enum { CRFS_RESTART_TYPE_TOTAL = 0 CRFS_RESTART_TYPES(CRFS_RESTART_TYPE_COUNT) };

/* One record. Its wire struct is as long as this module knows it, absent rows zero. */
struct crfs_entry {
	u64 id;
	void *wire;		/* owned; the body as it came stands behind the struct */
	const u8 *body;
	void *attached;		/* of an mm its crfs_space, of a thread its crfs_joiner */
};

struct crfs_entries {
	struct crfs_entry *entries;	/* ids ascend */
	u64 count;
	u64 room;
};

struct crfs_records {
	struct crfs_entries types[CRFS_RESTART_TYPE_TOTAL];
	u64 size;		/* bytes of all, bounded */
	u32 last_type;		/* of the record written last */
};

struct crfs_restart;

void crfs_records_free(struct crfs_records *records);

/**
 * crfs_records_write - take whole records
 * @restart: where; its lock is taken for each record, once that was copied
 * @iter: the bytes
 *
 * Return: how many bytes were taken, all of whole records; if there was none, -EBADMSG for
 * what is no record, -EINVAL for one of another type, or when it is too late, -ENODEV,
 * -EFBIG over the bound, -EFAULT, -EINTR, -ENOMEM.
 */
ssize_t crfs_records_write(struct crfs_restart *restart, struct iov_iter *iter);

/* All of a type; the type must be one of the list. */
struct crfs_entries *crfs_entries_of(struct crfs_records *records, u32 type);

/* One of a type, or null. */
struct crfs_entry *crfs_find_entry(struct crfs_records *records, u32 type, u64 id);

static inline void *crfs_record(struct crfs_records *records, u32 type, u64 id)
{
	struct crfs_entry *entry = crfs_find_entry(records, type, id);

	return entry ? entry->wire : NULL;
}

/* Where a bytes row of it lies: the range was checked. */
static inline const void *crfs_entry_bytes(const struct crfs_entry *entry, struct crfs_bytes bytes)
{
	return entry->body + bytes.offset;
}

/* restart_values.c: are the values of one record such as a task can have? 0 or -EBADMSG. */
int crfs_check_values(u32 type, const struct crfs_entry *entry);

#endif /* CRFS_KMOD_RESTART_RECORDS_H */
