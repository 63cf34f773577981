/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT */
/*
 * The image: how records stand in a file or on a pipe. docs/image-format.md tells it in
 * full; index/image_reader.h and index/image_writer.h are its reader and writer.
 *
 *   struct crfs_image_header
 *   records of objects        by type tag, then object id; ids strictly ascend
 *   records of EXTENTS        the table of saved memory
 *   one DATA record           its body starts at the next page boundary of the stream
 *   records of CHECKSUMS      one of each chunk of the data
 *   one END record
 *
 * Every record starts on a multiple of 8 bytes; what fills the gap is zero. All numbers
 * are little-endian. There is exactly one image for one state (the canonical form).
 */
#ifndef CRFS_IMAGE_H
#define CRFS_IMAGE_H

#include <linux/types.h>

#define CRFS_IMAGE_MAGIC "\211CRFS\r\n\n"
#define CRFS_IMAGE_MAGIC_SIZE 8

struct crfs_image_header {
	__u8 magic[CRFS_IMAGE_MAGIC_SIZE];
	__u32 format; /* CRFS_FORMAT_VERSION of the writer */
	__u32 crc;    /* crc32c of the bytes before */
};

/*
 * Before each record. crc32c is that of iSCSI (RFC 3720, polynomial 0x1edc6f41), with the
 * usual inversion before and after.
 */
struct crfs_record {
	__u32 type;  /* enum crfs_tag or CRFS_RECORD_* */
	__u32 flags; /* 0 in format version 1 */
	__u64 id;    /* object id, from 1; for other records see below */
	__u64 length; /* bytes of the body, without the zeros that fill it up to 8 */
	__u32 body_crc;   /* crc32c of the body; 0 for DATA */
	__u32 header_crc; /* crc32c of the 28 bytes before */
};

/* No body but that of DATA is longer. */
#define CRFS_RECORD_BODY_MAX (16U << 20)

/* Object ids are below this, so that an inode number has room for them (docs/tree.md). */
#define CRFS_ID_MAX ((1ULL << 44) - 1)

/*
 * The body of an object: this, then the struct of its type (schema.h), then the tail with
 * the bytes rows, in the order of the rows, one right after the other; the struct crfs_bytes
 * of an empty row is zero. `fixed` is the size
 * of the struct as its writer knew it: what lies beyond is absent; more than the reader
 * knows must be zero.
 */
struct crfs_body {
	__u32 fixed;
	__u32 zero;
};

enum crfs_record_type {
	CRFS_RECORD_EXTENTS = 0xff00,
	CRFS_RECORD_DATA = 0xff10,
	CRFS_RECORD_CHECKSUMS = 0xff20,
	CRFS_RECORD_END = 0xffff,
};

/*
 * EXTENTS: a part of the list of one owner's saved memory, in ascending order, extents
 * that touch merged into one. Owners ascend by type, then id. The record id counts the
 * EXTENTS records of the image from 1. All records of an owner but its last are full.
 * The memory itself stands in the data in the order of this table, so the place of each
 * extent is the sum of the lengths before it.
 */
struct crfs_extents {
	__u32 owner_type; /* CRFS_TAG_vma or CRFS_TAG_shmem: what has a `pages` row */
	__u32 count;      /* struct crfs_extent that follow, 1 to CRFS_EXTENTS_MAX */
	__u64 owner_id;
};

struct crfs_extent {
	__u64 offset; /* from the owner's start, bytes, a multiple of the page size */
	__u64 length; /* bytes, likewise, not 0 */
};

#define CRFS_EXTENTS_MAX 4096U

/*
 * CHECKSUMS: of each chunk of the data, __u32 each, the low half of its XXH64 (seed 0); the
 * last chunk is as short as it is. The record id counts the CHECKSUMS records from 1; all but
 * the last are full.
 */
#define CRFS_CHUNK_SIZE (256U << 10)
#define CRFS_CHECKSUMS_MAX 65536U

/* END, id 0: what came before it. Nothing comes after. */
struct crfs_end {
	__u64 objects;    /* records of objects */
	__u64 extents;    /* struct crfs_extent in all EXTENTS records */
	__u64 data;       /* bytes of the DATA body */
	__u64 size;       /* bytes of the whole image, this record included */
	__u8 digest[16];  /* XXH3, 128 bits, canonical form (xxhash.h), of all bytes before
	                   * this record but those of the DATA body */
};

#endif /* CRFS_IMAGE_H */
