#include "deliver/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "run/child.h"

#define REPORT_MAX 60000 /* a pipe takes 64 KB without a reader */

struct errand {
	void (*action)(void *context, struct why *whys);
	void *context;
	struct why *whys;
	size_t count;
	int report; /* the child's end of the pipe */
};

/* In the child: for each outcome "" or "status text", and a NUL. */
static int errand_run(void *argument)
{
	struct errand *e = argument;
	CLEANUP(buf_free) struct buf report = BUF_INIT(REPORT_MAX + 1);
	size_t room = REPORT_MAX / e->count;
	e->action(e->context, e->whys);
	for (size_t i = 0; i < e->count; i++) {
		CLEANUP(buf_free) struct buf line = BUF_INIT(WHY_TEXT_MAX + 64);
		if (why_is_set(&e->whys[i]))
			buf_printf(&line, "%s %s", e->whys[i].status,
			    buf_cstr(&e->whys[i].text));
		buf_add_str(&report, str_slice(buf_str(&line), 0, room - 1));
		buf_add_char(&report, '\0');
	}
	return file_write_all(e->report, report.p, report.len) == 0 ? 0 : 1;
}

static void read_report(int fd, struct buf *report)
{
	char bytes[1024];
	ssize_t got;
	while ((got = file_read_some(fd, bytes, sizeof(bytes))) > 0)
		buf_add(report, bytes, (size_t)got);
}

/* The child ran with a stranger's rights: its report is gossip. */
static bool take_outcome(struct str report, struct why *why)
{
	struct str status;
	char text[10];
	if (report.len == 0)
		return true;
	if (!str_next(&report, " ", &status) || !str_to_cstr(status, text, sizeof(text)))
		return why_later(why, "4.3.0", "delivery process gave no result");
	struct str reason = str_skip(report, 1);
	if (text[0] == '5')
		return why_never(why, text, "%.*s", STR_ARG(reason));
	return why_later(why, text, "%.*s", STR_ARG(reason));
}

static void take_report(struct str report, const struct errand *e)
{
	for (size_t i = 0; i < e->count; i++) {
		ptrdiff_t end = str_find(report, '\0');
		struct str line = end < 0 ? STR(" ") : str_slice(report, 0, (size_t)end);
		(void)take_outcome(line, &e->whys[i]);
		report = end < 0 ? STR_EMPTY : str_skip(report, (size_t)end + 1);
	}
}

/* Root is effective from here to the fork only. */
static pid_t start_child(const struct as_user *user, struct errand *errand)
{
	const int fds[] = {-1, -1, -1};
	struct child_plan plan = {
	    .function = errand_run,
	    .argument = errand,
	    .fds = fds,
	    .fd_count = ARRAY_SIZE(fds),
	    .uid = user->uid,
	    .gid = user->gid,
	    .set_ids = true,
	    .keep_fds = true,
	};
	uid_t before = geteuid();
	if (seteuid(0) != 0)
		return -errno;
	pid_t pid = child_start(&plan);
	if (seteuid(before) != 0)
		_exit(1);
	return pid;
}

/* It has the user's ids: only root may end it. */
static void end_child(pid_t pid)
{
	uid_t before = geteuid();
	if (seteuid(0) == 0)
		(void)kill(pid, SIGKILL);
	if (seteuid(before) != 0)
		_exit(1);
}

/* 0 and the report, or `why`. */
static bool wait_for_child(
    pid_t pid, int report_fd, int64_t seconds, struct buf *report, struct why *why)
{
	int status;
	int error = child_wait(pid, deadline_after_seconds(seconds), &status);
	if (error != 0) {
		end_child(pid);
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
	pid_t pid = start_child(user, errand);
	file_close(&errand->report);
	if (pid < 0)
		return why_system(why, (int)-pid, "cannot start a delivery process");
	CLEANUP(buf_free) struct buf report = BUF_INIT(REPORT_MAX + 1);
	if (!wait_for_child(pid, report_fd, seconds, &report, why))
		return false;
	take_report(buf_str(&report), errand);
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
