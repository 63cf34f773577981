/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the rows of the schema to the records of an object.
 *
 * A file get_TYPE.c holds one getter for each row of its types whose source is `kernel`,
 * and then CRFS_DEFINE_EMITTER(type). A row without a getter does not compile; a getter
 * without a row warns.
 *
 * Getters read a struct crfs_TYPE_source, called `from`:
 *   CRFS_GET(type, field, expression)       a number or a reference
 *   CRFS_GET_BYTES(type, field) { ... }     appends to `body`; returns 0 or an error
 */
#ifndef CRFS_KMOD_EMIT_H
#define CRFS_KMOD_EMIT_H

#include <linux/string.h>

#include <crfs/image.h>
#include <crfs/schema.h>

#include "objects.h"
#include "stream.h"

struct crfs_emitter {
	struct crfs_stream *stream;
	struct crfs_body_buffer body;
};

/* Starts a body with room for the struct; finishes it, and appends it as a record. */
int crfs_emit_begin(struct crfs_emitter *emitter, size_t fixed);
int crfs_emit_end(struct crfs_emitter *emitter, u32 type, u64 id, const void *wire, size_t fixed);

#define CRFS_GET(object, field, expression)                                                  \
	static inline u64 crfs_get_##object##_##field(const struct crfs_##object##_source *from) \
	{                                                                                    \
		return (u64)(expression);                                                    \
	}

#define CRFS_GET_BYTES(object, field)                                                        \
	static int crfs_get_##object##_##field(const struct crfs_##object##_source *from,    \
					       struct crfs_body_buffer *body)

#define CRFS_FILL_NUMBER(object, field) wire.field = crfs_get_##object##_##field(from);
#define CRFS_FILL_kernel_u32 CRFS_FILL_NUMBER
#define CRFS_FILL_kernel_s32 CRFS_FILL_NUMBER
#define CRFS_FILL_kernel_u64 CRFS_FILL_NUMBER
#define CRFS_FILL_kernel_s64 CRFS_FILL_NUMBER
#define CRFS_FILL_kernel_ref CRFS_FILL_NUMBER
#define CRFS_FILL_kernel_bytes(object, field)                                   \
	wire.field.offset = body->length;                                       \
	err = crfs_get_##object##_##field(from, body);                          \
	if (err)                                                                \
		return err;                                                     \
	wire.field.length = body->length - wire.field.offset;                   \
	if (!wire.field.length)                                                 \
		wire.field.offset = 0;

/* Left to user space: zero, as bytes rows are that are empty. */
#define CRFS_FILL_engine_u32(object, field)
#define CRFS_FILL_engine_s32(object, field)
#define CRFS_FILL_engine_u64(object, field)
#define CRFS_FILL_engine_s64(object, field)
#define CRFS_FILL_engine_ref(object, field)
#define CRFS_FILL_engine_bytes(object, field)
#define CRFS_FILL_none_none(object, field)

#define CRFS_FILL(object, type, field, path, codec, access, restart, source, since, doc) \
	CRFS_FILL_##source##_##type(object, field)

#define CRFS_DECLARE_EMITTER(object)                                                    \
	int crfs_emit_##object(struct crfs_emitter *emitter, u64 id,                    \
			       const struct crfs_##object##_source *from)

#define CRFS_DEFINE_NAMED_EMITTER(object, function)                                     \
	int function(struct crfs_emitter *emitter, u64 id,                              \
		     const struct crfs_##object##_source *from)                         \
	{                                                                               \
		struct crfs_body_buffer *body __maybe_unused = &emitter->body;          \
		struct crfs_##object wire = {};                                         \
		int err = crfs_emit_begin(emitter, sizeof(wire));                       \
											\
		if (err)                                                                \
			return err;                                                     \
		CRFS_ROWS_##object(CRFS_FILL)                                           \
		return crfs_emit_end(emitter, CRFS_TAG_##object, id, &wire, sizeof(wire)); \
	}

#define CRFS_DEFINE_EMITTER(object) CRFS_DEFINE_NAMED_EMITTER(object, crfs_emit_##object)

CRFS_DECLARE_EMITTER(pipe);
CRFS_DECLARE_EMITTER(shmem);
CRFS_DECLARE_EMITTER(file);
CRFS_DECLARE_EMITTER(fs);
CRFS_DECLARE_EMITTER(mm);
CRFS_DECLARE_EMITTER(vma);
CRFS_DECLARE_EMITTER(fdtable);
CRFS_DECLARE_EMITTER(fd);
CRFS_DECLARE_EMITTER(sighand);
CRFS_DECLARE_EMITTER(sigaction);
CRFS_DECLARE_EMITTER(cred);
CRFS_DECLARE_EMITTER(task);
CRFS_DECLARE_EMITTER(signal);
CRFS_DECLARE_EMITTER(thread);
CRFS_DECLARE_EMITTER(thread_signal);

#endif /* CRFS_KMOD_EMIT_H */
