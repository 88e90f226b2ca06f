/*
 * Doing one thing with the rights of one user. Root is effective only around fork and
 * setuid; the action runs in a child that has the user's ids for good, reads the message
 * there, and tells its outcome over a pipe. In a single-user instance there is only
 * one user, and the action runs in the process itself.
 */
#ifndef DELIVER_AS_USER_H
#define DELIVER_AS_USER_H

#include <stdbool.h>
#include <sys/types.h>
#include "mail/why.h"

struct as_user {
	uid_t uid;
	gid_t gid;
	bool switch_ids; /* false: single-user instance */
};

/*
 * Runs action(context, why). The child touches neither loop, tables nor fibers, only what
 * is reachable from `context` and its descriptors; it is killed after `seconds`. False:
 * `why` is set, by the action or because the child died.
 */
MUST_USE bool as_user_run(const struct as_user *user,
    bool (*action)(void *context, struct why *why), void *context, int64_t seconds,
    struct why *why);

#endif
