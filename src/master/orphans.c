/*
 * In a container master is process 1, the parent of every process whose own has died, and
 * must take note of their ends: else they stay in the table of processes for ever.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/master.h"

#define LOOK_EVERY_MS 1000

static struct run_timer *look_timer;

static bool is_ours(pid_t pid)
{
	const struct row *r;
	const struct child *c;
	LIST_FOREACH (r, &master.rows, struct row, link)
		LIST_FOREACH (c, &r->children, struct child, link)
			if (c->pid == pid)
				return true;
	return false;
}

/* One of ours in front of the others is left to its own callback, and they to the next
 * look. */
static void look(UNUSED void *argument)
{
	siginfo_t ended;
	for (;;) {
		memset(&ended, 0, sizeof(ended));
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		    ended.si_pid == 0 || is_ours(ended.si_pid) ||
		    waitpid(ended.si_pid, NULL, WNOHANG) != ended.si_pid)
			break;
	}
	run_timer_set(look_timer, deadline_after_ms(LOOK_EVERY_MS));
}

void orphans_start(void)
{
	if (getpid() != 1)
		return;
	look_timer = run_timer_new(look, NULL);
	run_timer_set(look_timer, deadline_after_ms(LOOK_EVERY_MS));
}
