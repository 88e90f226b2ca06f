/* "user=NAME" and "user=NAME:GROUP" of pipe and spawn: whose rights a command gets. */
#ifndef DELIVER_COMMAND_USER_H
#define DELIVER_COMMAND_USER_H

#include "deliver/as_user.h"

/* The mail system's own, which no command may get. */
struct command_owner {
	bool single_user; /* then NAME does not count: all runs as the caller */
	const char *user;
	uid_t uid;
	gid_t gid;
};

/* False: `error` says why: no such account, root's rights, or the mail owner's. */
MUST_USE bool command_user_find(struct str value, const struct command_owner *owner,
    struct as_user *user_r, struct buf *error);

#endif
