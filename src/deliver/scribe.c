#include "deliver/scribe.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "deliver/scribe_child.h"
#include "deliver/scribe_errand.h"
#include "run/fiber.h"
#include "run/wait.h"

struct scribe {
	pid_t pid;
	int fd;
	struct run_watch *watch;
	struct list_link requests; /* whose report did not come yet */
};

struct request {
	struct list_link link; /* in no list: the jobs' whys tell */
	struct fiber *fiber;
	uint32_t number;
	const struct scribe_jobs *jobs;
};

static struct {
	struct as_user user;   /* of the last delivery */
	bool asked;            /* there was one */
	struct scribe *scribe; /* of this user; NULL: none */
	uint32_t numbers;
	char *report; /* SCRIBE_REPORT_MAX bytes, from the first scribe on */
} state;

static void gone(UNUSED void *argument, UNUSED pid_t pid, UNUSED int status)
{
}

/* Without its socket it ends when it has done what it was asked. */
static void scribe_free(struct scribe *s)
{
	ENSURE(list_empty(&s->requests));
	run_watch_free(s->watch);
	file_close(&s->fd);
	child_on_exit(s->pid, gone, NULL);
	free(s);
}

/* Nothing more is asked of it. */
static void dismiss(void)
{
	struct scribe *s = state.scribe;
	state.scribe = NULL;
	if (s != NULL && list_empty(&s->requests))
		scribe_free(s);
}

static void finish(struct request *r)
{
	list_remove(&r->link);
	fiber_wake(r->fiber);
}

/* What it did before it failed is not known: all are tried again. */
static void set_later(struct request *r, const char *text)
{
	for (size_t i = 0; i < r->jobs->count; i++)
		(void)why_later(&r->jobs->whys[i], "4.3.0", "%s", text);
}

static void scribe_died(struct scribe *s)
{
	struct request *r, *after;
	LIST_FOREACH_SAFE (r, after, &s->requests, struct request, link) {
		set_later(r, "delivery process died");
		finish(r);
	}
	if (state.scribe == s)
		state.scribe = NULL;
	scribe_free(s);
}

static bool take_report(struct scribe *s, struct str report)
{
	struct request *r;
	uint32_t number;
	if (report.len < sizeof(number))
		return false;
	memcpy(&number, report.p, sizeof(number));
	LIST_FOREACH (r, &s->requests, struct request, link) {
		if (r->number != number)
			continue;
		struct str rest = errand_report_read(
		    str_skip(report, sizeof(number)), r->jobs->whys, r->jobs->count);
		if (r->jobs->found != NULL)
			buf_add_str(r->jobs->found, rest);
		finish(r);
		return true;
	}
	return false;
}

/* On the main stack. */
static void take_reports(void *argument)
{
	struct scribe *s = argument;
	for (;;) {
		ssize_t got = recv(s->fd, state.report, SCRIBE_REPORT_MAX, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0 ||
		    !take_report(s, (struct str){state.report, (size_t)got})) {
			as_user_end(s->pid);
			scribe_died(s);
			return;
		}
	}
	if (s != state.scribe && list_empty(&s->requests))
		scribe_free(s);
}

static bool start_scribe(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	const int fds[] = {-1, -1, -1, [SCRIBE_CHILD_FD] = pair[1]};
	pid_t pid = as_user_start(&state.user,
	    &(struct child_plan){
		.function = scribe_child,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
	    });
	file_close(&pair[1]);
	if (pid < 0) {
		file_close(&pair[0]);
		return false;
	}
	struct scribe *s = memory_alloc(sizeof(*s));
	*s = (struct scribe){.pid = pid, .fd = pair[0], .watch = run_watch_new(pair[0])};
	list_init(&s->requests);
	if (state.report == NULL)
		state.report = memory_alloc(SCRIBE_REPORT_MAX);
	run_watch_on_readable(s->watch, take_reports, s);
	state.scribe = s;
	return true;
}

static bool is_last_user(const struct as_user *user)
{
	return state.asked && state.user.switch_ids == user->switch_ids &&
	    state.user.uid == user->uid && state.user.gid == user->gid;
}

static bool write_errand(struct buf *out, uint32_t number, const struct delivery *d,
    const struct scribe_jobs *jobs)
{
	const struct maildir_target *first = &jobs->jobs[0].target;
	struct scribe_job *list = memory_alloc_array(jobs->count, sizeof(*list));
	for (size_t i = 0; i < jobs->count; i++) {
		const struct maildir_job *job = &jobs->jobs[i];
		const struct delivery_rcpt *r = &d->recipients[job->recipient];
		list[i] = (struct scribe_job){.address = r->request->address,
		    .original = r->request->original,
		    .delivered_to = r->delivered_to,
		    .directory = str_of(job->target.directory)};
	}
	size_t files_count = jobs->first != NULL ? jobs->first->count : 0;
	struct scribe_path *files = memory_alloc_array(files_count + 1, sizeof(*files));
	for (size_t i = 0; i < files_count; i++)
		files[i].path = str_of(jobs->first->paths[i]);
	scribe_errand_write(out,
	    &(struct scribe_errand){.number = number,
		.sender = d->recipients[jobs->jobs[0].recipient].sender,
		.content_offset = d->envelope.content_offset,
		.hostname = str_of(first->hostname),
		.copy_flags = first->copy_flags,
		.limit = first->limit,
		.files_owner = jobs->first != NULL ? (uint32_t)jobs->first->owner : 0,
		.files = files,
		.files_count = (uint32_t)files_count,
		.jobs = list,
		.jobs_count = (uint32_t)jobs->count});
	free(files);
	free(list);
	return buf_ok(out);
}

static bool send_errand(struct str packet, int queue_fd)
{
	union scribe_control control = {0};
	struct iovec data = {(void *)(uintptr_t)packet.p, packet.len};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &queue_fd, sizeof(queue_fd));
	return sendmsg(state.scribe->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)packet.len;
}

/* Where it takes too long it is ended, and with it what others asked of it. */
static void wait_for_report(struct scribe *s, struct request *r, int64_t seconds)
{
	char text[100];
	int64_t deadline = deadline_after_seconds(seconds);
	list_append(&s->requests, &r->link);
	while (!list_empty(&r->link) && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	if (list_empty(&r->link))
		return;
	(void)snprintf(text, sizeof(text), "delivery process took more than %lld seconds",
	    (long long)seconds);
	set_later(r, text);
	list_remove(&r->link);
	as_user_end(s->pid);
	scribe_died(s);
}

bool scribe_deliver(const struct as_user *user, struct delivery *d,
    const struct scribe_jobs *jobs, int64_t seconds)
{
	CLEANUP(buf_free) struct buf packet = BUF_INIT(SCRIBE_PACKET_MAX);
	struct request request = {
	    .fiber = fiber_self(), .number = ++state.numbers, .jobs = jobs};
	if (!is_last_user(user)) {
		dismiss();
		state.user = *user;
		state.asked = true;
		return false;
	}
	if (request.fiber == NULL || !write_errand(&packet, request.number, d, jobs) ||
	    (state.scribe == NULL && !start_scribe()))
		return false;
	if (!send_errand(buf_str(&packet), d->file.fd))
		return false;
	wait_for_report(state.scribe, &request, seconds);
	return true;
}
