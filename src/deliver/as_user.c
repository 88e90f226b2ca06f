#include "deliver/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "deliver/errand_report.h"

struct errand {
	void (*action)(void *context, struct why *whys);
	void *context;
	struct why *whys;
	size_t count;
	int report; /* the child's end of the pipe */
};

/* In the child. */
static int errand_run(void *argument)
{
	struct errand *e = argument;
	CLEANUP(buf_free) struct buf report = BUF_INIT(ERRAND_REPORT_MAX + 1);
	e->action(e->context, e->whys);
	errand_report_write(&report, e->whys, e->count);
	return file_write_all(e->report, report.p, report.len) == 0 ? 0 : 1;
}

static void read_report(int fd, struct buf *report)
{
	char bytes[1024];
	ssize_t got;
	while ((got = file_read_some(fd, bytes, sizeof(bytes))) > 0)
		buf_add(report, bytes, (size_t)got);
}

/* Root is effective from here to the fork only. */
pid_t as_user_start(const struct as_user *user, const struct child_plan *plan)
{
	struct child_plan whole = *plan;
	uid_t before = geteuid();
	whole.uid = user->uid;
	whole.gid = user->gid;
	whole.set_ids = true;
	if (seteuid(0) != 0)
		return -errno;
	pid_t pid = child_start(&whole);
	if (seteuid(before) != 0)
		_exit(1);
	return pid;
}

/* It has the user's ids: only root may end it. */
void as_user_end(pid_t pid)
{
	uid_t before = geteuid();
	if (seteuid(0) == 0)
		(void)kill(pid, SIGKILL);
	if (seteuid(before) != 0)
		_exit(1);
}

static pid_t start_errand(const struct as_user *user, struct errand *errand)
{
	const int fds[] = {-1, -1, -1};
	return as_user_start(user,
	    &(struct child_plan){
		.function = errand_run,
		.argument = errand,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.keep_fds = true,
	    });
}

/* 0 and the report, or `why`. */
static bool wait_for_child(
    pid_t pid, int report_fd, int64_t seconds, struct buf *report, struct why *why)
{
	int status;
	int error = child_wait(pid, deadline_after_seconds(seconds), &status);
	if (error != 0) {
		as_user_end(pid);
		error = child_wait(pid, CLOCK_NEVER, &status);
		return why_later(why, "4.3.0",
		    "delivery process took more than %lld seconds%s", (long long)seconds,
		    error != 0 ? " and cannot be ended" : "");
	}
	if (WIFSIGNALED(status))
		return why_later(why, "4.3.0", "delivery process died with signal %d",
		    WTERMSIG(status));
	read_report(report_fd, report);
	return true;
}

static bool run_in_child(const struct as_user *user, struct errand *errand, int report_fd,
    int64_t seconds, struct why *why)
{
	pid_t pid = start_errand(user, errand);
	file_close(&errand->report);
	if (pid < 0)
		return why_system(why, (int)-pid, "cannot start a delivery process");
	CLEANUP(buf_free) struct buf report = BUF_INIT(ERRAND_REPORT_MAX + 1);
	if (!wait_for_child(pid, report_fd, seconds, &report, why))
		return false;
	errand_report_read(buf_str(&report), errand->whys, errand->count);
	return true;
}

static bool run_elsewhere_as(
    const struct as_user *user, struct errand *errand, int64_t seconds, struct why *why)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return why_system(why, errno, "cannot make a pipe");
	errand->report = pipe_fds[1];
	bool done = run_in_child(user, errand, pipe_fds[0], seconds, why);
	file_close(&errand->report);
	file_close(&pipe_fds[0]);
	return done;
}

void as_user_run(const struct as_user *user,
    void (*action)(void *context, struct why *whys), void *context, int64_t seconds,
    struct why *whys, size_t count)
{
	struct errand errand = {
	    .action = action, .context = context, .whys = whys, .count = count};
	struct why why;
	if (!user->switch_ids) {
		action(context, whys);
		return;
	}
	why_init(&why);
	if (!run_elsewhere_as(user, &errand, seconds, &why))
		for (size_t i = 0; i < count; i++)
			why_copy(&whys[i], &why);
	why_free(&why);
}
