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

struct errand {
	bool (*action)(void *context, struct why *why);
	void *context;
	int report; /* the child's end of the pipe */
};

/* In the child: "S" for success, or "status text". */
static int errand_run(void *argument)
{
	struct errand *e = argument;
	struct why why;
	why_init(&why);
	CLEANUP(buf_free) struct buf report = BUF_INIT(WHY_TEXT_MAX + 64);
	if (e->action(e->context, &why))
		buf_add_char(&report, 'S');
	else
		buf_printf(&report, "%s %s", why.status, buf_cstr(&why.text));
	return file_write_all(e->report, report.p, report.len) == 0 ? 0 : 1;
}

static void read_report(int fd, struct buf *report)
{
	char bytes[1024];
	ssize_t got;
	while ((got = file_read_some(fd, bytes, sizeof(bytes))) > 0)
		buf_add(report, bytes, (size_t)got);
}

static bool report_failed(struct str report, struct why *why)
{
	struct str status;
	char text[10];
	if (!str_next(&report, " ", &status) || !str_to_cstr(status, text, sizeof(text)))
		return why_later(why, "4.3.0", "delivery process gave no result");
	struct str reason = str_skip(report, 1);
	if (text[0] == '5')
		return why_never(why, text, "%.*s", STR_ARG(reason));
	return why_later(why, text, "%.*s", STR_ARG(reason));
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

static bool run_in_child(const struct as_user *user, struct errand *errand, int report_fd,
    int64_t seconds, struct why *why)
{
	pid_t pid = start_child(user, errand);
	file_close(&errand->report);
	if (pid < 0)
		return why_system(why, (int)-pid, "cannot start a delivery process");
	CLEANUP(buf_free) struct buf report = BUF_INIT(WHY_TEXT_MAX + 64);
	int status;
	int error = child_wait(pid, deadline_after_seconds(seconds), &status);
	if (error != 0) {
		(void)kill(pid, SIGKILL);
		error = child_wait(pid, CLOCK_NEVER, &status);
		return why_later(why, "4.3.0",
		    "delivery process took more than %lld seconds%s", (long long)seconds,
		    error != 0 ? " and cannot be ended" : "");
	}
	read_report(report_fd, &report);
	if (WIFSIGNALED(status))
		return why_later(why, "4.3.0", "delivery process died with signal %d",
		    WTERMSIG(status));
	if (str_is(buf_str(&report), "S"))
		return true;
	return report_failed(buf_str(&report), why);
}

bool as_user_run(const struct as_user *user,
    bool (*action)(void *context, struct why *why), void *context, int64_t seconds,
    struct why *why)
{
	if (!user->switch_ids)
		return action(context, why);
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return why_system(why, errno, "cannot make a pipe");
	struct errand errand = {
	    .action = action, .context = context, .report = pipe_fds[1]};
	bool done = run_in_child(user, &errand, pipe_fds[0], seconds, why);
	file_close(&errand.report);
	file_close(&pipe_fds[0]);
	return done;
}
