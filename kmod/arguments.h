/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ioctl arguments: structs that begin with their size and may grow.
 */
#ifndef CRFS_KMOD_ARGUMENTS_H
#define CRFS_KMOD_ARGUMENTS_H

#include <linux/uaccess.h>

/**
 * crfs_copy_in - take an argument struct from user space
 * @args: filled, with zeros beyond what the caller knows
 * @known: its size here; all structs still have that of their first version
 * @user: where the caller has it; begins with the size as the caller knows it
 *
 * Return: 0, -EINVAL for a struct shorter than the first version's, -E2BIG for one that
 * is longer and not zero beyond @known, -EFAULT.
 */
static inline int crfs_copy_in(void *args, size_t known, const void __user *user)
{
	u32 size;

	if (get_user(size, (const u32 __user *)user))
		return -EFAULT;
	if (size < known)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(args, known, user, size);
}

/* The size stays as the caller gave it, even if another thread changed it since. */
static inline int crfs_copy_out(void __user *user, void *args, u32 size, size_t known)
{
	*(u32 *)args = size;
	return copy_to_user(user, args, known) ? -EFAULT : 0;
}

#endif /* CRFS_KMOD_ARGUMENTS_H */
