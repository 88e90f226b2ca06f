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

struct as_user_errand {
	/*
	 * Runs in the child: `count` outcomes, those that failed set, and, where the
	 * caller wants one, a text. It touches neither loop, tables nor fibers, only what
	 * is reachable from `context` and its descriptors.
	 */
	void (*action)(void *context, struct why *whys, struct buf *text);
	/* In a child, before: gives up what it has no business with. NULL: nothing. */
	void (*in_child)(void *context);
	void *context;
	int64_t seconds; /* then it is killed */
	/* When it died, all say so. They are cut when all together pass
	 * ERRAND_REPORT_MAX. */
	struct why *whys;
	size_t count;
	struct buf *text; /* NULL: none; else up to its ceiling; gossip of the child */
};

void as_user_run(const struct as_user *user, const struct as_user_errand *errand);

/* A child of one's own plan, with the user's ids. Pid or -errno. */
MUST_USE pid_t as_user_start(const struct as_user *user, const struct child_plan *plan);
/* The same for a child that must see to something as root first; its function then calls
 * as_user_become before all else. */
MUST_USE pid_t as_user_start_early(
    const struct as_user *user, const struct child_plan *plan);
/* In that child: into `root` (NULL: no jail), then the user's ids for good. 0 or -errno
 * of chroot; where the ids cannot be taken the child ends. */
MUST_USE int as_user_become(const struct as_user *user, const char *root);
/* Kills it, or with a negative pid its group. The caller waits for its end
 * (run/child.h). */
void as_user_end(pid_t pid);

/* Reads what a child writes, up to its end; what passes the ceiling of `out` is dropped.
 * `fd` does not block. What is in a pipe whose writer has ended is read whatever the
 * deadline says. 0, -ETIMEDOUT (also when the child writes on and on), -errno. */
MUST_USE int as_user_read(int fd, int64_t deadline, struct buf *out);

#endif
