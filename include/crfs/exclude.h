/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program has marked as not worth saving, as crfs finds it in the memory of the program.
 * Programs call crfs_exclude() and its kin (crfs.h); this is what those write.
 *
 * A table is a mapping of its own, private, anonymous, readable and writable, of exactly
 * CRFS_EXCLUDE_SIZE bytes, all of which have been written to; memory of other protection lies on
 * both sides of it, so that it stays a mapping of its own. fork(2) copies it, and a restarted
 * program has it again. A program may have several, CRFS_EXCLUDE_TABLES at most. crfs reads them while the program is frozen, at
 * any point between two stores: a mark is filled before its kind is set, and its kind is cleared
 * before it is filled anew.
 */
#ifndef CRFS_EXCLUDE_H
#define CRFS_EXCLUDE_H

#include <linux/types.h>

#define CRFS_EXCLUDE_MAGIC "\211crfs-exclude\r\n"
#define CRFS_EXCLUDE_MAGIC_SIZE 16 /* with the NUL */
#define CRFS_EXCLUDE_VERSION 1
#define CRFS_EXCLUDE_SIZE 16384
#define CRFS_EXCLUDE_TABLES 64

enum crfs_exclude_kind {
	CRFS_EXCLUDE_FREE = 0,   /* no mark */
	CRFS_EXCLUDE_MEMORY = 1, /* `length` bytes from address `start` */
	CRFS_EXCLUDE_FD = 2,     /* descriptor `start` */
	CRFS_EXCLUDE_TAKEN = 3   /* about to be filled */
};

struct crfs_exclude_mark {
	__u64 kind; /* enum crfs_exclude_kind; others count for nothing */
	__u64 start;
	__u64 length; /* of memory; else 0 */
};

#define CRFS_EXCLUDE_MARKS ((CRFS_EXCLUDE_SIZE - 40) / sizeof(struct crfs_exclude_mark))

struct crfs_exclude_table {
	__u8 magic[CRFS_EXCLUDE_MAGIC_SIZE]; /* set when all else is; without it, it is no table */
	__u64 version;                       /* CRFS_EXCLUDE_VERSION */
	__u64 reserved[2];                   /* 0 */
	struct crfs_exclude_mark marks[CRFS_EXCLUDE_MARKS];
};

#endif /* CRFS_EXCLUDE_H */
