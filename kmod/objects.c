// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of objects, and finding an object again by its key.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "objects.h"

#define CRFS_FIRST_CAPACITY 16

static int crfs_table_reserve(struct crfs_table *table)
{
	u64 capacity = max_t(u64, CRFS_FIRST_CAPACITY, table->capacity * 2);
	u8 *entries;

	if (table->count < table->capacity)
		return 0;
	if (table->count >= U32_MAX)
		return -E2BIG;
	entries = kvmalloc_array(capacity, table->entry_size, GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	if (table->count)
		memcpy(entries, table->entries, table->count * table->entry_size);
	kvfree(table->entries);
	table->entries = entries;
	table->capacity = capacity;
	return 0;
}

/**
 * crfs_table_add - append a zeroed entry; its id is the table's new count
 * @table: moved when it grows: entries are named by id, not by pointer
 *
 * Return: the entry, or null: no memory.
 */
void *crfs_table_add(struct crfs_table *table)
{
	if (crfs_table_reserve(table))
		return NULL;
	table->count++;
	return memset(crfs_table_at(table, table->count), 0, table->entry_size);
}

static u64 crfs_slot(const struct crfs_table *table, struct crfs_key key)
{
	u64 hash = (unsigned long)key.first * GOLDEN_RATIO_64;

	hash ^= (unsigned long)key.second;
	return hash_64(hash, 32) & (table->slot_count - 1);
}

static struct crfs_key crfs_key_at(const struct crfs_table *table, u64 id)
{
	return *(struct crfs_key *)crfs_table_at(table, id);
}

/* The slot that holds the key, or the empty one where it belongs. */
static u32 *crfs_find_slot(const struct crfs_table *table, struct crfs_key key)
{
	u64 slot = crfs_slot(table, key);

	while (table->slots[slot]) {
		struct crfs_key other = crfs_key_at(table, table->slots[slot]);

		if (other.first == key.first && other.second == key.second)
			break;
		slot = (slot + 1) & (table->slot_count - 1);
	}
	return &table->slots[slot];
}

/* Returns the id, or 0. */
u64 crfs_table_find(const struct crfs_table *table, struct crfs_key key)
{
	return table->slots ? *crfs_find_slot(table, key) : 0;
}

/* At most half of the slots are in use. */
static int crfs_table_rehash(struct crfs_table *table)
{
	u64 id;

	if (table->count * 2 < table->slot_count)
		return 0;
	kvfree(table->slots);
	table->slot_count = max_t(u64, 2 * CRFS_FIRST_CAPACITY, table->slot_count * 2);
	table->slots = kvcalloc(table->slot_count, sizeof(*table->slots), GFP_KERNEL_ACCOUNT);
	if (!table->slots)
		return -ENOMEM;
	for (id = 1; id <= table->count; id++)
		*crfs_find_slot(table, crfs_key_at(table, id)) = id;
	return 0;
}

/* As crfs_table_add, for a key that the table does not hold yet. */
void *crfs_table_add_key(struct crfs_table *table, struct crfs_key key)
{
	struct crfs_key *entry;

	if (crfs_table_rehash(table))
		return NULL;
	entry = crfs_table_add(table);
	if (!entry)
		return NULL;
	*entry = key;
	*crfs_find_slot(table, key) = table->count;
	return entry;
}

static void crfs_table_free(struct crfs_table *table)
{
	kvfree(table->entries);
	kvfree(table->slots);
	table->entries = NULL;
	table->slots = NULL;
	table->count = 0;
	table->capacity = 0;
	table->slot_count = 0;
}

#define CRFS_TABLES(TABLE)	\
	TABLE(pipe)		\
	TABLE(shmem)		\
	TABLE(file)		\
	TABLE(fs)		\
	TABLE(mm)		\
	TABLE(vma)		\
	TABLE(fdtable)		\
	TABLE(fd)		\
	TABLE(sighand)		\
	TABLE(sigaction)	\
	TABLE(cred)		\
	TABLE(task)		\
	TABLE(signal)		\
	TABLE(thread)		\
	TABLE(thread_signal)	\
	TABLE(extent)

void crfs_objects_init(struct crfs_objects *objects)
{
	memset(objects, 0, sizeof(*objects));
#define CRFS_ENTRY_SIZE(name) objects->name.entry_size = sizeof(struct crfs_##name##_source);
	CRFS_TABLES(CRFS_ENTRY_SIZE)
}

/**
 * crfs_objects_trim - give up all that serves the records alone
 * @objects: of a captured session; the mm and shmem tables stay
 *
 * Among the files may be the checkpoint's own descriptor, if a target has it open: kept any
 * longer, it would keep itself.
 */
void crfs_objects_trim(struct crfs_objects *objects)
{
	struct crfs_table mm = objects->mm;
	struct crfs_table shmem = objects->shmem;
	u64 id;

	for (id = 1; id <= objects->file.count; id++) {
		struct crfs_file_source *file = crfs_table_at(&objects->file, id);

		if (file->file)
			fput(file->file);
		else
			path_put(&file->path);
	}
	for (id = 1; id <= objects->vma.count; id++) {
		struct crfs_vma_source *vma = crfs_table_at(&objects->vma, id);

		kfree(vma->name);
	}
	for (id = 1; id <= objects->cred.count; id++) {
		struct crfs_cred_source *cred = crfs_table_at(&objects->cred, id);

		put_cred(cred->cred);
	}
	memset(&objects->mm, 0, sizeof(objects->mm));
	memset(&objects->shmem, 0, sizeof(objects->shmem));
#define CRFS_FREE_TABLE(name) crfs_table_free(&objects->name);
	CRFS_TABLES(CRFS_FREE_TABLE)
	objects->mm = mm;
	objects->shmem = shmem;
}

/* Gives up everything. */
void crfs_objects_free(struct crfs_objects *objects)
{
	u64 id;

	crfs_objects_trim(objects);
	for (id = 1; id <= objects->shmem.count; id++) {
		struct crfs_shmem_source *shmem = crfs_table_at(&objects->shmem, id);

		fput(shmem->file);
	}
	for (id = 1; id <= objects->mm.count; id++) {
		struct crfs_mm_source *mm = crfs_table_at(&objects->mm, id);

		mmdrop(mm->mm);
	}
	crfs_table_free(&objects->shmem);
	crfs_table_free(&objects->mm);
}
