#include "deliver/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "deliver/errand_report.h"
#include "run/fiber.h"
#include "run/wait.h"

/* Between two looks at the clock: more than a pipe holds by itself (64 KB), so that what
 * a child left behind is read whatever the time. */
#define READS_A_TURN 32
#define READ_BYTES   4096

struct errand {
	const struct as_user_errand *what;
	int report; /* the child's end of the pipe */
};

/* In the child. */
static int errand_run(void *argument)
{
	const struct errand *e = argument;
	const struct as_user_errand *what = e->what;
	CLEANUP(buf_free) struct buf report = BUF_INIT(ERRAND_REPORT_MAX + 1);
	if (what->in_child != NULL)
		what->in_child(what->context);
	what->action(what->context, what->whys, what->text);
	errand_report_write(&report, what->whys, what->count);
	int error = file_write_all(e->report, report.p, report.len);
	if (error == 0 && what->text != NULL)
		error = file_write_all(e->report, what->text->p, what->text->len);
	return error == 0 ? 0 : 1;
}

/* In a fiber it waits on the loop; elsewhere the process has nothing else to do. */
static int wait_readable(struct run_watch *watch, int fd, int64_t deadline)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	if (watch != NULL)
		return run_wait_readable(watch, deadline);
	int64_t left = deadline_left_ms(deadline);
	int ready = poll(&poll_fd, 1, left < INT32_MAX ? (int)left : INT32_MAX);
	return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : -errno;
}

/* Bytes, 0 at the end, or -errno. */
static ssize_t read_some(
    struct run_watch *watch, int fd, int64_t deadline, char *bytes, size_t size)
{
	for (;;) {
		ssize_t got = read(fd, bytes, size);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int error = wait_readable(watch, fd, deadline);
		if (error != 0 && error != -EINTR)
			return error;
	}
}

/* A child that always has something to say would never let us wait. */
static ssize_t read_to_end(
    struct run_watch *watch, int fd, int64_t deadline, struct buf *out)
{
	char bytes[READ_BYTES];
	ssize_t got;
	unsigned reads = 0;
	while ((got = read_some(watch, fd, deadline, bytes, sizeof(bytes))) > 0) {
		size_t room = out->ceiling - out->len;
		buf_add(out, bytes, (size_t)got < room ? (size_t)got : room);
		if (++reads % READS_A_TURN != 0)
			continue;
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		if (watch != NULL)
			fiber_yield();
	}
	return got;
}

int as_user_read(int fd, int64_t deadline, struct buf *out)
{
	struct run_watch *watch = fiber_self() != NULL ? run_watch_new(fd) : NULL;
	ssize_t got = read_to_end(watch, fd, deadline, out);
	run_watch_free(watch);
	return (int)got;
}

/* Root is effective from here to the fork only. */
static pid_t start(
    const struct as_user *user, const struct child_plan *plan, bool take_ids)
{
	struct child_plan whole = *plan;
	uid_t before = geteuid();
	if (!user->switch_ids)
		return child_start(&whole);
	whole.uid = user->uid;
	whole.gid = user->gid;
	whole.set_ids = take_ids;
	if (seteuid(0) != 0)
		return -errno;
	pid_t pid = child_start(&whole);
	if (seteuid(before) != 0)
		_exit(1);
	return pid;
}

pid_t as_user_start(const struct as_user *user, const struct child_plan *plan)
{
	return start(user, plan, true);
}

pid_t as_user_start_early(const struct as_user *user, const struct child_plan *plan)
{
	return start(user, plan, false);
}

int as_user_become(const struct as_user *user, const char *root)
{
	if (root != NULL && (chroot(root) != 0 || chdir("/") != 0))
		return -errno;
	if (user->switch_ids &&
	    (setgroups(1, &user->gid) != 0 || setgid(user->gid) != 0 ||
		setuid(user->uid) != 0))
		_exit(1);
	return 0;
}

/* It has the user's ids: only root may end it. */
void as_user_end(pid_t pid)
{
	uid_t before = geteuid();
	bool root = seteuid(0) == 0;
	(void)kill(pid, SIGKILL);
	if (root && seteuid(before) != 0)
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

static bool took_too_long(pid_t pid, int64_t seconds, struct why *why)
{
	int status;
	as_user_end(pid);
	int error = child_wait(pid, CLOCK_NEVER, &status);
	return why_later(why, "4.3.0", "delivery process took more than %lld seconds%s",
	    (long long)seconds, error != 0 ? " and cannot be ended" : "");
}

/* The report, or `why`. */
static bool wait_for_child(
    pid_t pid, int report_fd, int64_t seconds, struct buf *report, struct why *why)
{
	int status;
	int64_t deadline = deadline_after_seconds(seconds);
	if (as_user_read(report_fd, deadline, report) == -ETIMEDOUT ||
	    child_wait(pid, deadline, &status) != 0)
		return took_too_long(pid, seconds, why);
	if (WIFSIGNALED(status))
		return why_later(why, "4.3.0", "delivery process died with signal %d",
		    WTERMSIG(status));
	return true;
}

static bool run_in_child(
    const struct as_user *user, struct errand *errand, int report_fd, struct why *why)
{
	const struct as_user_errand *what = errand->what;
	size_t room =
	    ERRAND_REPORT_MAX + 1 + (what->text != NULL ? what->text->ceiling : 0);
	pid_t pid = start_errand(user, errand);
	file_close(&errand->report);
	if (pid < 0)
		return why_system(why, (int)-pid, "cannot start a delivery process");
	CLEANUP(buf_free) struct buf report = BUF_INIT(room);
	if (!wait_for_child(pid, report_fd, what->seconds, &report, why))
		return false;
	struct str rest = errand_report_read(buf_str(&report), what->whys, what->count);
	if (what->text != NULL)
		buf_add_str(what->text, rest);
	return true;
}

static bool run_elsewhere_as(
    const struct as_user *user, struct errand *errand, struct why *why)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return why_system(why, errno, "cannot make a pipe");
	errand->report = pipe_fds[1];
	bool done = file_set_nonblocking(pipe_fds[0], true) == 0 &&
	    run_in_child(user, errand, pipe_fds[0], why);
	file_close(&errand->report);
	file_close(&pipe_fds[0]);
	return done;
}

void as_user_run(const struct as_user *user, const struct as_user_errand *what)
{
	struct errand errand = {.what = what};
	struct why why;
	if (!user->switch_ids) {
		what->action(what->context, what->whys, what->text);
		return;
	}
	why_init(&why);
	if (!run_elsewhere_as(user, &errand, &why))
		for (size_t i = 0; i < what->count; i++)
			why_copy(&what->whys[i], &why);
	why_free(&why);
}
