/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keyrings: which of them would be missed after a restart.
 */
#ifndef CRFS_KMOD_KEYRING_H
#define CRFS_KMOD_KEYRING_H

#include <linux/cred.h>

/**
 * crfs_has_own_session_keyring - does it hold keys that the caller's own does not?
 * @cred: of a task; in an rcu section
 *
 * A restarted program has the session keyring of who restarts it. Every login and every
 * service has one, and most hold nothing but what all of them hold: the link to the user's
 * keyring, and systemd's invocation id. Those are not missed.
 */
bool crfs_has_own_session_keyring(const struct cred *cred);

#endif /* CRFS_KMOD_KEYRING_H */
