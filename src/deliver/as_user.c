#include "deliver/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "run/child.h"

struct errand {
	bool (*action)(void *context, struct why *why);
	int (*open)(void *context, struct why *why); /* instead of `action` */
	void *context;
	int report; /* the child's end of a socket pair */
};

/* "S" for success, with the descriptor if there is one. */
static bool report_success(int report, int fd)
{
	char byte = 'S';
	struct iovec bytes = {.iov_base = &byte, .iov_len = 1};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	return sendmsg(report, &message, MSG_NOSIGNAL) == 1;
}

/* In the child: "S" for success, or "status text". */
static int errand_run(void *argument)
{
	struct errand *e = argument;
	struct why why;
	int fd = -1;
	why_init(&why);
	bool done = e->open != NULL ? (fd = e->open(e->context, &why)) >= 0
				    : e->action(e->context, &why);
	if (done)
		return report_success(e->report, fd) ? 0 : 1;
	CLEANUP(buf_free) struct buf report = BUF_INIT(WHY_TEXT_MAX + 64);
	buf_printf(&report, "%s %s", why.status, buf_cstr(&why.text));
	return file_write_all(e->report, report.p, report.len) == 0 ? 0 : 1;
}

/* Reads what the child said; *fd_r becomes the descriptor that came with it, if any. */
static void read_report(int socket, struct buf *report, int *fd_r)
{
	char bytes[1024];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	ssize_t got;
	do {
		struct iovec piece = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		struct msghdr message = {.msg_iov = &piece,
		    .msg_iovlen = 1,
		    .msg_control = &control,
		    .msg_controllen = sizeof(control.room)};
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
		if (got > 0)
			buf_add(report, bytes, (size_t)got);
		struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
		if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
			file_close(fd_r);
			memcpy(fd_r, CMSG_DATA(header), sizeof(int));
		}
	} while (got > 0);
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

static bool run_in_child(const struct as_user *user, struct errand *errand, int ends[2],
    int64_t seconds, int *fd_r, struct why *why)
{
	errand->report = ends[1];
	pid_t pid = start_child(user, errand);
	file_close(&ends[1]);
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
	read_report(ends[0], &report, fd_r);
	if (WIFSIGNALED(status))
		return why_later(why, "4.3.0", "delivery process died with signal %d",
		    WTERMSIG(status));
	if (str_is(buf_str(&report), "S"))
		return true;
	return report_failed(buf_str(&report), why);
}

static bool run(const struct as_user *user, struct errand *errand, int64_t seconds,
    int *fd_r, struct why *why)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return why_system(why, errno, "cannot make a socket pair");
	bool done = run_in_child(user, errand, ends, seconds, fd_r, why);
	file_close(&ends[1]);
	file_close(&ends[0]);
	return done;
}

bool as_user_run(const struct as_user *user,
    bool (*action)(void *context, struct why *why), void *context, int64_t seconds,
    struct why *why)
{
	if (!user->switch_ids)
		return action(context, why);
	CLEANUP(file_close) int none = -1;
	struct errand errand = {.action = action, .context = context};
	return run(user, &errand, seconds, &none, why);
}

bool as_user_open(const struct as_user *user,
    int (*action)(void *context, struct why *why), void *context, int64_t seconds,
    int *fd_r, struct why *why)
{
	int fd = -1;
	if (!user->switch_ids) {
		fd = action(context, why);
	} else {
		struct errand errand = {.open = action, .context = context};
		if (!run(user, &errand, seconds, &fd, why))
			file_close(&fd);
		else if (fd < 0)
			return why_later(why, "4.3.0", "delivery process sent no file");
	}
	if (fd >= 0)
		*fd_r = fd;
	return fd >= 0;
}
