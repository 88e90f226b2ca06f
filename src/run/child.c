#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/child_fds.h"
#include "run/schedule.h"
#include "run/signals.h"

#define EXIT_NOT_STARTED 127

struct child {
	struct list_link link;
	pid_t pid;
	void (*callback)(void *argument, pid_t pid, int status);
	void *argument;
};

static struct list_link children = LIST_INIT(children);

/* First all out of the way of the low numbers, then to their places. */
static bool place_fds(const struct child_plan *plan)
{
	int high[CHILD_FDS_MAX], count = (int)plan->fd_count;

	for (int i = 0; i < count; i++) {
		int fd = plan->fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC)
					  : plan->fds[i];
		high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, count);
		if (high[i] < 0)
			return false;
	}
	for (int i = 0; i < count; i++)
		if (dup2(high[i], i) < 0)
			return false;
	if (!plan->keep_fds)
		child_fds_close_from(count);
	return true;
}

static bool take_identity(const struct child_plan *plan)
{
	if (!plan->set_ids)
		return true;
	return setgroups(1, &plan->gid) == 0 && setgid(plan->gid) == 0 &&
	    setuid(plan->uid) == 0;
}

NORETURN static void be_child(const struct child_plan *plan)
{
	int status = EXIT_NOT_STARTED;

	if (plan->new_group)
		(void)setpgid(0, 0);
	/* Our handlers write into the loop's pipe, which we share until exec. */
	run_signals_reset();
	if (!place_fds(plan) || !take_identity(plan))
		_exit(status);
	if (plan->directory != NULL && chdir(plan->directory) != 0)
		_exit(status);
	if (plan->path == NULL) {
		status = plan->function(plan->argument);
		log_flush();
	} else {
		(void)execve(plan->path, plan->argv,
		    plan->environment == NULL ? environ : plan->environment);
	}
	_exit(status);
}

pid_t child_start(const struct child_plan *plan)
{
	sigset_t all, before;
	int error = fault_hit(FAULT_FORK);
	pid_t pid;

	ENSURE(plan->fd_count >= 3 && plan->fd_count <= CHILD_FDS_MAX);
	if (error != 0)
		return -error;
	run_signals_look();
	(void)sigfillset(&all);
	ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	pid = fork();
	if (pid == 0)
		be_child(plan);
	error = errno;
	ENSURE(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (pid < 0)
		return -error;
	if (plan->new_group) /* in both, so that it is done for whoever looks first */
		(void)setpgid(pid, pid);
	return pid;
}

static pid_t reap(pid_t pid, int flags, int *status_r)
{
	pid_t result;

	do {
		result = waitpid(pid, status_r, flags);
	} while (result < 0 && errno == EINTR);
	return result;
}

static void look_at_children(UNUSED int number)
{
	struct child *child, *after;
	int status;

	LIST_FOREACH_SAFE (child, after, &children, struct child, link) {
		pid_t result = reap(child->pid, WNOHANG, &status);
		if (result == 0)
			continue;
		/* Reaped by someone else: its end is known, its status is not. */
		if (result < 0)
			status = EXIT_NOT_STARTED << 8;
		list_remove(&child->link);
		run_count_source(-1);
		child->callback(child->argument, child->pid, status);
		free(child);
		/* The callback may have changed the list. */
		after = LIST_ENTRY(children.next, struct child, link);
	}
}

static void look_soon(UNUSED void *argument)
{
	look_at_children(SIGCHLD);
}

void child_on_exit(
    pid_t pid, void (*callback)(void *argument, pid_t pid, int status), void *argument)
{
	struct child *child = memory_alloc(sizeof(*child));

	child->pid = pid;
	child->callback = callback;
	child->argument = argument;
	list_append(&children, &child->link);
	run_count_source(1);
	run_on_signal(SIGCHLD, look_at_children);
	run_soon(look_soon, NULL); /* it may have ended before */
}

struct ended {
	struct fiber *fiber; /* NULL: it left */
	bool known;
	int status;
};

static void note_end(void *argument, UNUSED pid_t pid, int status)
{
	struct ended *ended = argument;

	ended->known = true;
	ended->status = status;
	fiber_wake(ended->fiber);
}

static void forget(pid_t pid)
{
	struct child *child;

	LIST_FOREACH (child, &children, struct child, link) {
		if (child->pid == pid && child->callback == note_end) {
			list_remove(&child->link);
			run_count_source(-1);
			free(child);
			return;
		}
	}
}

/* On the main stack: short naps, because waitpid knows no deadline. */
static int wait_blocking(pid_t pid, int64_t deadline, int *status_r)
{
	struct timespec nap = {.tv_nsec = 200000};

	for (;;) {
		pid_t result = reap(pid, deadline == CLOCK_NEVER ? 0 : WNOHANG, status_r);
		if (result != 0)
			return result < 0 ? -errno : 0;
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		(void)nanosleep(&nap, NULL);
		if (nap.tv_nsec < 10000000)
			nap.tv_nsec *= 2;
	}
}

int child_wait(pid_t pid, int64_t deadline, int *status_r)
{
	struct ended ended = {.fiber = fiber_self()};
	int status;

	if (ended.fiber == NULL) {
		int result = wait_blocking(pid, deadline, &status);
		if (result == 0)
			*status_r = status;
		return result;
	}
	child_on_exit(pid, note_end, &ended);
	while (!ended.known && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	if (!ended.known) {
		forget(pid);
		return -ETIMEDOUT;
	}
	*status_r = ended.status;
	return 0;
}
