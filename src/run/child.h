/*
 * Child processes. Each child is reaped by its own pid; wait(-1) is never called. The
 * child after fork touches neither loop, tables nor fibers: only the descriptors in its
 * plan; it leaves by exec or _exit. All descriptors but those in the plan are closed
 * with close_range, so a huge descriptor limit costs nothing.
 */
#ifndef RUN_CHILD_H
#define RUN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/attributes.h"
#include "base/buf.h"

#define CHILD_FDS_MAX 128

struct child_plan {
	const char *path;  /* executable; NULL: run `function` in the child instead */
	char *const *argv; /* NULL-terminated */
	char *const *environment; /* NULL-terminated; NULL keeps ours */
	const int *fds;  /* fds[i] becomes descriptor i in the child, -1 = /dev/null */
	size_t fd_count; /* 3 .. CHILD_FDS_MAX */
	int (*function)(void *argument); /* its result is the exit status */
	void *argument;
	const char *directory; /* chdir there, or NULL */
	uid_t uid;             /* with set_ids: setgroups, setgid, setuid */
	gid_t gid;
	bool set_ids;
	bool keep_fds;  /* with `function`: all our other descriptors stay open too */
	bool new_group; /* a process group of its own, so that all can be killed */
};

/* Pid, or -errno of fork. A failed exec shows as exit status 127 (72 by convention of
 * the log line is up to the caller). */
MUST_USE pid_t child_start(const struct child_plan *plan);

/* Calls back on the main stack with the wait status when this child ended. */
void child_on_exit(
    pid_t pid, void (*callback)(void *argument, pid_t pid, int status), void *argument);

/* Waits in a fiber (or blocks in an inline-only process) for the end. 0 and *status_r, or
 * -ETIMEDOUT: the child still runs. */
MUST_USE int child_wait(pid_t pid, int64_t deadline, int *status_r);

#endif
