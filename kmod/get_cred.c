// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credentials, with ids as the capturing caller's user namespace knows them.
 */
#include <linux/cred.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "emit.h"

#define CRFS_UID(field) from_kuid_munged(current_user_ns(), from->cred->field)
#define CRFS_GID(field) from_kgid_munged(current_user_ns(), from->cred->field)

CRFS_GET(cred, uid, CRFS_UID(uid))
CRFS_GET(cred, euid, CRFS_UID(euid))
CRFS_GET(cred, suid, CRFS_UID(suid))
CRFS_GET(cred, fsuid, CRFS_UID(fsuid))
CRFS_GET(cred, gid, CRFS_GID(gid))
CRFS_GET(cred, egid, CRFS_GID(egid))
CRFS_GET(cred, sgid, CRFS_GID(sgid))
CRFS_GET(cred, fsgid, CRFS_GID(fsgid))
CRFS_GET(cred, cap_inheritable, crfs_capabilities(from->cred->cap_inheritable))
CRFS_GET(cred, cap_permitted, crfs_capabilities(from->cred->cap_permitted))
CRFS_GET(cred, cap_effective, crfs_capabilities(from->cred->cap_effective))
CRFS_GET(cred, cap_bounding, crfs_capabilities(from->cred->cap_bset))
CRFS_GET(cred, cap_ambient, crfs_capabilities(from->cred->cap_ambient))
CRFS_GET(cred, securebits, from->cred->securebits)

CRFS_GET_BYTES(cred, groups)
{
	const struct group_info *groups = from->cred->group_info;
	int i, err = 0;

	for (i = 0; !err && i < groups->ngroups; i++) {
		__le32 gid = cpu_to_le32(from_kgid_munged(current_user_ns(), groups->gid[i]));

		err = crfs_body_append(body, &gid, sizeof(gid));
	}
	return err;
}

CRFS_DEFINE_EMITTER(cred)
