// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking records apart: framing, checksums, the layout that the schema's rows give, order.
 * The rules are those of include/crfs/image.h.
 */
#include <linux/crc32.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "restart.h"

/* Of the bodies of one restart: a thread has some 3 KiB, a mapping 100 bytes. */
#define CRFS_RECORDS_MAX (256ULL << 20)

struct crfs_row {
	u16 offset;
	u16 size;
	bool bytes;
};

struct crfs_layout {
	u32 type;
	u32 size;	/* of the wire struct */
	u32 required;	/* of it, in format version 1 */
	const struct crfs_row *rows;
	u32 row_count;
};

#define CRFS_LAYOUT_NUMBER(object, field)                                                     \
	{ offsetof(struct crfs_##object, field), sizeof(((struct crfs_##object *)0)->field), false },
#define CRFS_LAYOUT_u32 CRFS_LAYOUT_NUMBER
#define CRFS_LAYOUT_s32 CRFS_LAYOUT_NUMBER
#define CRFS_LAYOUT_u64 CRFS_LAYOUT_NUMBER
#define CRFS_LAYOUT_s64 CRFS_LAYOUT_NUMBER
#define CRFS_LAYOUT_ref CRFS_LAYOUT_NUMBER
#define CRFS_LAYOUT_bytes(object, field)                                                      \
	{ offsetof(struct crfs_##object, field), sizeof(struct crfs_bytes), true },
#define CRFS_LAYOUT_none(object, field)
#define CRFS_LAYOUT_ROW(object, wire, field, ...) CRFS_LAYOUT_##wire(object, field)
#define CRFS_LAYOUT_ROWS(name)                                                                \
	static const struct crfs_row crfs_rows_##name[] = { CRFS_ROWS_##name(CRFS_LAYOUT_ROW) };
CRFS_RESTART_TYPES(CRFS_LAYOUT_ROWS)

#define CRFS_FROZEN(name, tag, owner, place, key, frozen, doc) CRFS_FROZEN_##name = frozen,
enum { CRFS_OBJECTS(CRFS_FROZEN) };

#define CRFS_LAYOUT(name)                                                                     \
	{ CRFS_TAG_##name, sizeof(struct crfs_##name), CRFS_FROZEN_##name, crfs_rows_##name,  \
	  ARRAY_SIZE(crfs_rows_##name) },
static const struct crfs_layout crfs_layouts[] = { CRFS_RESTART_TYPES(CRFS_LAYOUT) };

static int crfs_layout_index(u32 type)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(crfs_layouts); i++) {
		if (crfs_layouts[i].type == type)
			return i;
	}
	return -EINVAL;
}

struct crfs_entries *crfs_entries_of(struct crfs_records *records, u32 type)
{
	int index = crfs_layout_index(type);

	return WARN_ON_ONCE(index < 0) ? &records->types[0] : &records->types[index];
}

struct crfs_entry *crfs_find_entry(struct crfs_records *records, u32 type, u64 id)
{
	struct crfs_entries *all = crfs_entries_of(records, type);
	u64 from = 0, to = all->count;

	while (from < to) {
		u64 middle = from + (to - from) / 2;

		if (all->entries[middle].id == id)
			return &all->entries[middle];
		if (all->entries[middle].id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

void crfs_records_free(struct crfs_records *records)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(records->types); i++) {
		struct crfs_entries *all = &records->types[i];

		while (all->count) {
			kvfree(all->entries[--all->count].wire);
			cond_resched();
		}
		kvfree(all->entries);
	}
	memset(records, 0, sizeof(*records));
}

/* Each bytes row begins where the one before ended; an empty one is zero. */
static bool crfs_tail_is_whole(const struct crfs_layout *layout, const u8 *wire, u32 fixed,
			       u32 length)
{
	u32 end = sizeof(struct crfs_body) + fixed;
	u32 i;

	for (i = 0; i < layout->row_count; i++) {
		const struct crfs_row *row = &layout->rows[i];
		struct crfs_bytes bytes;

		if (!row->bytes)
			continue;
		memcpy(&bytes, wire + row->offset, sizeof(bytes));
		if (bytes.offset != (bytes.length ? end : 0) || bytes.length > length - end)
			return false;
		end += bytes.length;
	}
	return end == length;
}

/* A writer of an older format knew fewer rows, but no part of one. */
static bool crfs_ends_with_a_row(const struct crfs_layout *layout, u32 fixed)
{
	u32 i;

	for (i = 0; i < layout->row_count; i++) {
		if (layout->rows[i].offset + layout->rows[i].size == fixed)
			return true;
	}
	return false;
}

/* Copies the struct out of a body, and checks how the body is laid out. */
static int crfs_read_body(const struct crfs_layout *layout, const u8 *body, u32 length, u8 *wire)
{
	struct crfs_body head;

	if (length < sizeof(head))
		return -EBADMSG;
	memcpy(&head, body, sizeof(head));
	if (head.zero || head.fixed > length - sizeof(head) || head.fixed < layout->required)
		return -EBADMSG;
	if (head.fixed < layout->size && !crfs_ends_with_a_row(layout, head.fixed))
		return -EBADMSG;
	/* Rows that only a newer module could restore. */
	if (head.fixed > layout->size &&
	    memchr_inv(body + sizeof(head) + layout->size, 0, head.fixed - layout->size))
		return -EBADMSG;
	memset(wire, 0, layout->size);
	memcpy(wire, body + sizeof(head), min(head.fixed, layout->size));
	return crfs_tail_is_whole(layout, wire, head.fixed, length) ? 0 : -EBADMSG;
}

static int crfs_append_entry(struct crfs_entries *all, const struct crfs_entry *entry)
{
	if (all->count == all->room) {
		u64 room = max_t(u64, 16, all->room * 2);
		struct crfs_entry *entries = kvmalloc_array(room, sizeof(*entries),
							    GFP_KERNEL_ACCOUNT);

		if (!entries)
			return -ENOMEM;
		if (all->count)
			memcpy(entries, all->entries, all->count * sizeof(*entries));
		kvfree(all->entries);
		all->entries = entries;
		all->room = room;
	}
	all->entries[all->count++] = *entry;
	return 0;
}

/* Copies a body of a checked header from @iter, with the struct that it holds. */
static int crfs_copy_body(const struct crfs_record *head, struct iov_iter *iter,
			  struct crfs_entry *entry)
{
	const struct crfs_layout *layout = &crfs_layouts[crfs_layout_index(head->type)];
	size_t padded = ALIGN(head->length, 8);
	u8 *body;
	int err;

	entry->wire = kvmalloc(ALIGN(layout->size, 8) + padded, GFP_KERNEL_ACCOUNT);
	if (!entry->wire)
		return -ENOMEM;
	body = entry->wire + ALIGN(layout->size, 8);
	entry->body = body;
	if (!copy_from_iter_full(body, padded, iter))
		return -EFAULT;
	if (memchr_inv(body + head->length, 0, padded - head->length) ||
	    ~__crc32c_le(~0U, body, head->length) != head->body_crc)
		return -EBADMSG;
	err = crfs_read_body(layout, body, head->length, entry->wire);
	return err ?: crfs_check_values(head->type, entry);
}

/* What can be said of a header by itself. */
static int crfs_check_header(const struct crfs_record *head)
{
	if (~__crc32c_le(~0U, (const u8 *)head, offsetof(struct crfs_record, header_crc)) !=
	    head->header_crc)
		return -EBADMSG;
	if (head->flags || !head->id || head->id > CRFS_ID_MAX ||
	    head->length > CRFS_RECORD_BODY_MAX)
		return -EBADMSG;
	return crfs_layout_index(head->type) < 0 ? -EINVAL : 0;
}

/* Puts it where it belongs: behind all others. */
static int crfs_add_entry(struct crfs_records *records, const struct crfs_record *head,
			  const struct crfs_entry *entry)
{
	struct crfs_entries *all = crfs_entries_of(records, head->type);
	const struct crfs_layout *layout = &crfs_layouts[crfs_layout_index(head->type)];
	size_t size = ALIGN(layout->size, 8) + ALIGN(head->length, 8);
	int err;

	if (head->type < records->last_type ||
	    (all->count && all->entries[all->count - 1].id >= head->id))
		return -EBADMSG;
	if (records->size + size > CRFS_RECORDS_MAX)
		return -EFBIG;
	err = crfs_append_entry(all, entry);
	if (err)
		return err;
	records->size += size;
	records->last_type = head->type;
	return 0;
}

/*
 * Takes one record. Only what is of the record itself is blamed on it (@first: what came
 * before was not returned yet, and it comes again).
 */
static int crfs_take_record(struct crfs_restart *restart, struct iov_iter *iter, bool first)
{
	struct crfs_record head = {};
	struct crfs_entry entry = {};
	int late, err = -EBADMSG;

	if (iov_iter_count(iter) >= sizeof(head)) {
		if (!copy_from_iter_full(&head, sizeof(head), iter))
			return -EFAULT;
		err = crfs_check_header(&head);
		if (!err && ALIGN(head.length, 8) > iov_iter_count(iter))
			err = -EBADMSG;
		else if (!err)
			err = crfs_copy_body(&head, iter, &entry);
	}
	entry.id = head.id;
	if (mutex_lock_interruptible(&restart->lock)) {
		err = -EINTR;
		goto free;
	}
	late = crfs_check_open(restart);
	if (!late && !list_empty(&restart->joiners))
		late = -EINVAL;
	if (late)
		err = late;
	else if (!err)
		err = crfs_add_entry(&restart->records, &head, &entry);
	if (err && !late && first) {
		restart->fault.type = head.type;
		restart->fault.id = head.id;
	}
	mutex_unlock(&restart->lock);
free:
	if (err)
		kvfree(entry.wire);
	return err;
}

ssize_t crfs_records_write(struct crfs_restart *restart, struct iov_iter *iter)
{
	size_t whole = iov_iter_count(iter);
	ssize_t done = 0;

	while (iov_iter_count(iter)) {
		int err = crfs_take_record(restart, iter, !done);

		if (err)
			return done ?: err;
		done = whole - iov_iter_count(iter);
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done;
}
