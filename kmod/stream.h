/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records of a checkpoint as bytes, and one record while it is being built.
 */
#ifndef CRFS_KMOD_STREAM_H
#define CRFS_KMOD_STREAM_H

#include <linux/types.h>
#include <linux/uio.h>

/* Append-only; the memory is charged to who appends. Not locked. */
struct crfs_stream {
	void **chunks;
	size_t capacity;	/* slots in chunks */
	u64 size;		/* bytes appended */
	u64 records;
};

void crfs_stream_init(struct crfs_stream *stream);
void crfs_stream_free(struct crfs_stream *stream);
ssize_t crfs_stream_read(const struct crfs_stream *stream, struct iov_iter *iter, loff_t *pos);

/* Takes back what was appended since @before, a copy of the struct, was made. */
void crfs_stream_rewind(struct crfs_stream *stream, const struct crfs_stream *before);

/* The body of a record. Room is kept between records, so that one serves for all. */
struct crfs_body_buffer {
	u8 *data;
	size_t length;
	size_t capacity;
};

void crfs_body_free(struct crfs_body_buffer *body);

/* Returns room for @length more bytes, zeroed, or null: no memory, or over 16 MiB. */
void *crfs_body_extend(struct crfs_body_buffer *body, size_t length);
int crfs_body_append(struct crfs_body_buffer *body, const void *bytes, size_t length);

/* Appends a record with this body, with its checksums and the zeros that fill it up. */
int crfs_stream_record(struct crfs_stream *stream, u32 type, u64 id,
		       const struct crfs_body_buffer *body);

#endif /* CRFS_KMOD_STREAM_H */
