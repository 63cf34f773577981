// SPDX-License-Identifier: GPL-2.0-only
/*
 * The body of an object: struct crfs_body, the struct of its type, the tail.
 */
#include "emit.h"

int crfs_emit_begin(struct crfs_emitter *emitter, size_t fixed)
{
	emitter->body.length = 0;
	return crfs_body_extend(&emitter->body, sizeof(struct crfs_body) + fixed) ? 0 : -ENOMEM;
}

int crfs_emit_end(struct crfs_emitter *emitter, u32 type, u64 id, const void *wire, size_t fixed)
{
	struct crfs_body head = { .fixed = fixed };

	memcpy(emitter->body.data, &head, sizeof(head));
	memcpy(emitter->body.data + sizeof(head), wire, fixed);
	return crfs_stream_record(emitter->stream, type, id, &emitter->body);
}
