// SPDX-License-Identifier: GPL-2.0-only
/*
 * Record framing (include/crfs/image.h) and the buffer that read() serves.
 */
#include <linux/crc32.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>

#include <crfs/image.h>

#include "stream.h"

#define CRFS_CHUNK (64U << 10)

void crfs_stream_init(struct crfs_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

void crfs_stream_free(struct crfs_stream *stream)
{
	u64 used = DIV_ROUND_UP(stream->size, CRFS_CHUNK);
	u64 i;

	for (i = 0; i < used; i++)
		kvfree(stream->chunks[i]);
	kvfree(stream->chunks);
	crfs_stream_init(stream);
}

/* Makes room for one more chunk and allocates it. */
static int crfs_stream_grow(struct crfs_stream *stream)
{
	size_t index = stream->size / CRFS_CHUNK;
	void **chunks;

	if (index == stream->capacity) {
		size_t capacity = max_t(size_t, 16, stream->capacity * 2);

		chunks = kvcalloc(capacity, sizeof(*chunks), GFP_KERNEL_ACCOUNT);
		if (!chunks)
			return -ENOMEM;
		if (stream->chunks)
			memcpy(chunks, stream->chunks, index * sizeof(*chunks));
		kvfree(stream->chunks);
		stream->chunks = chunks;
		stream->capacity = capacity;
	}
	stream->chunks[index] = kvmalloc(CRFS_CHUNK, GFP_KERNEL_ACCOUNT);
	return stream->chunks[index] ? 0 : -ENOMEM;
}

static int crfs_stream_append(struct crfs_stream *stream, const void *bytes, size_t length)
{
	while (length) {
		size_t offset = stream->size % CRFS_CHUNK;
		size_t part = min_t(size_t, length, CRFS_CHUNK - offset);
		int err = offset ? 0 : crfs_stream_grow(stream);

		if (err)
			return err;
		memcpy(stream->chunks[stream->size / CRFS_CHUNK] + offset, bytes, part);
		stream->size += part;
		bytes += part;
		length -= part;
	}
	return 0;
}

void crfs_stream_rewind(struct crfs_stream *stream, const struct crfs_stream *before)
{
	u64 keep = DIV_ROUND_UP(before->size, CRFS_CHUNK);
	u64 used = DIV_ROUND_UP(stream->size, CRFS_CHUNK);

	while (used > keep)
		kvfree(stream->chunks[--used]);
	stream->size = before->size;
	stream->records = before->records;
}

ssize_t crfs_stream_read(const struct crfs_stream *stream, struct iov_iter *iter, loff_t *pos)
{
	ssize_t done = 0;

	while (iov_iter_count(iter) && *pos < stream->size) {
		size_t offset = *pos % CRFS_CHUNK;
		size_t part = min3((u64)iov_iter_count(iter), (u64)CRFS_CHUNK - offset,
				   stream->size - *pos);
		size_t copied = copy_to_iter(stream->chunks[*pos / CRFS_CHUNK] + offset, part, iter);

		*pos += copied;
		done += copied;
		if (copied != part)
			return done ?: -EFAULT;
	}
	return done;
}

void crfs_body_free(struct crfs_body_buffer *body)
{
	kvfree(body->data);
	memset(body, 0, sizeof(*body));
}

void *crfs_body_extend(struct crfs_body_buffer *body, size_t length)
{
	size_t need, capacity;
	u8 *data;

	if (check_add_overflow(body->length, length, &need) || need > CRFS_RECORD_BODY_MAX)
		return NULL;
	if (need > body->capacity) {
		capacity = max_t(size_t, max_t(size_t, 4096, need), 2 * body->capacity);
		data = kvmalloc(capacity, GFP_KERNEL_ACCOUNT);
		if (!data)
			return NULL;
		if (body->length)
			memcpy(data, body->data, body->length);
		kvfree(body->data);
		body->data = data;
		body->capacity = capacity;
	}
	data = body->data + body->length;
	memset(data, 0, length);
	body->length = need;
	return data;
}

int crfs_body_append(struct crfs_body_buffer *body, const void *bytes, size_t length)
{
	void *room = crfs_body_extend(body, length);

	if (!room)
		return -ENOMEM;
	memcpy(room, bytes, length);
	return 0;
}

static u32 crfs_crc32c(const void *bytes, size_t length)
{
	return ~__crc32c_le(~0U, bytes, length);
}

int crfs_stream_record(struct crfs_stream *stream, u32 type, u64 id,
		       const struct crfs_body_buffer *body)
{
	static const u8 zeros[8];
	struct crfs_record record = {
		.type = type,
		.id = id,
		.length = body->length,
		.body_crc = crfs_crc32c(body->data, body->length),
	};
	int err;

	record.header_crc = crfs_crc32c(&record, offsetof(struct crfs_record, header_crc));
	err = crfs_stream_append(stream, &record, sizeof(record));
	if (!err)
		err = crfs_stream_append(stream, body->data, body->length);
	if (!err)
		err = crfs_stream_append(stream, zeros, -body->length & 7);
	if (!err)
		stream->records++;
	return err;
}
