// SPDX-License-Identifier: GPL-2.0-only
#include "keyring.h"

#include <linux/assoc_array_priv.h>
#include <linux/key-type.h>
#include <linux/key.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#ifdef CONFIG_KEYS

/* As keyring_ptr_to_key() of security/keys/keyring.c: a bit tells keyrings from other keys. */
static const struct key *crfs_key_of(const struct assoc_array_ptr *leaf)
{
	return (const struct key *)((unsigned long)leaf &
				    ~(ASSOC_ARRAY_PTR_TYPE_MASK | ASSOC_ARRAY_PTR_SUBTYPE_MASK));
}

static bool crfs_is_common(const struct key *key)
{
	const char *name = key->description;

	if (!name)
		return false;
	return key->type == &key_type_keyring ? !strncmp(name, "_uid", strlen("_uid"))
					      : !strcmp(name, "invocation_id");
}

/* Few keys lie in a single node: what lies deeper is not common. */
static bool crfs_holds_only_common(const struct key *keyring)
{
	const struct assoc_array_ptr *root = READ_ONCE(keyring->keys.root);
	const struct assoc_array_node *node;
	unsigned int i;

	if (!root)
		return true;
	if (!assoc_array_ptr_is_node(root))
		return false;
	node = assoc_array_ptr_to_node(root);
	for (i = 0; i < ASSOC_ARRAY_FAN_OUT; i++) {
		const struct assoc_array_ptr *slot = READ_ONCE(node->slots[i]);

		if (slot && (!assoc_array_ptr_is_leaf(slot) || !crfs_is_common(crfs_key_of(slot))))
			return false;
	}
	return true;
}

bool crfs_has_own_session_keyring(const struct cred *cred)
{
	const struct key *keyring = cred->session_keyring;

	return keyring && keyring != current_cred()->session_keyring &&
	       !crfs_holds_only_common(keyring);
}

#else

bool crfs_has_own_session_keyring(const struct cred *cred)
{
	return false;
}

#endif
