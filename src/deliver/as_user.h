/*
 * Doing something with the rights of one user. Root is effective only around fork and
 * setuid; the action runs in a child that has the user's ids for good, reads the message
 * there, and tells what came of it over a pipe. In a single-user instance there is only
 * one user, and the action runs in the process itself.
 */
#ifndef DELIVER_AS_USER_H
#define DELIVER_AS_USER_H

#include <stdbool.h>
#include <sys/types.h>
#include "mail/why.h"
#include "run/child.h"

struct as_user {
	uid_t uid;
	gid_t gid;
	bool switch_ids; /* false: single-user instance */
};

/*
 * Runs action(context, whys): `count` outcomes, those that failed set. The child touches
 * neither loop, tables nor fibers, only what is reachable from `context` and its
 * descriptors; it is killed after `seconds`. When it died, all `whys` say so. A text is
 * cut when all of them together would not fit into a pipe.
 */
void as_user_run(const struct as_user *user,
    void (*action)(void *context, struct why *whys), void *context, int64_t seconds,
    struct why *whys, size_t count);

/* A child of one's own plan, with the user's ids. Pid or -errno. */
MUST_USE pid_t as_user_start(const struct as_user *user, const struct child_plan *plan);
/* Kills it. The caller waits for its end (run/child.h). */
void as_user_end(pid_t pid);

#endif
