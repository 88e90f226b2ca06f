#include "deliver/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deliver/errand_report.h"
#include "deliver/scribe_errand.h"
#include "run/wait.h"

#define PACKET_MAX   (128 * 1024) /* fits into a socket's buffer */
#define ERRAND_ARENA (8 * 1024 * 1024)
#define CHILD_FD     3
/* How long the agent's loop stands still for a report. */
#define BLOCKED_SECONDS 1
/* A report with a file is one packet too. A longer file is one that it does not take: a
 * child of its own then does. */
#define FOUND_MAX  (64 * 1024)
#define REPORT_MAX (ERRAND_REPORT_MAX + 1 + FOUND_MAX)

static struct {
	struct as_user user; /* of the last delivery */
	pid_t pid;           /* 0: none */
	int fd;
	struct run_watch *watch;
	char *report; /* REPORT_MAX bytes, from the first scribe on */
} scribe = {.fd = -1};

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* --- the child --- */

/* The packet and the descriptor with it; 0 at the end, when the agent is gone. */
static ssize_t receive_errand(char *bytes, int *fd_r)
{
	struct iovec data = {bytes, PACKET_MAX};
	union control control = {0};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t got;
	do {
		got = recvmsg(CHILD_FD, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header == NULL || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return 0;
	memcpy(fd_r, CMSG_DATA(header), sizeof(*fd_r));
	return got;
}

static bool find_first(struct arena *a, const struct scribe_errand *e, struct buf *found)
{
	const char **paths = arena_alloc_array(a, e->files_count, sizeof(*paths));
	struct user_files files = {
	    .paths = paths, .owner = (uid_t)e->files_owner, .what = ""};
	for (uint32_t i = 0; paths != NULL && i < e->files_count; i++) {
		paths[i] = arena_cstr(a, e->files[i].path);
		if (paths[i] != NULL)
			files.count = i + 1;
	}
	return user_file_find(&files, found);
}

static bool run_errand(
    struct delivery *d, const struct scribe_errand *e, struct buf *report)
{
	struct maildir_job *jobs = memory_alloc_array(e->jobs_count, sizeof(*jobs));
	struct why *whys = memory_alloc_array(e->jobs_count, sizeof(*whys));
	struct delivery_recipient *requests =
	    memory_alloc_array(e->jobs_count, sizeof(*requests));
	d->recipients = memory_alloc_array(e->jobs_count, sizeof(*d->recipients));
	for (uint32_t i = 0; i < e->jobs_count; i++) {
		requests[i].address = e->jobs[i].address;
		requests[i].original = e->jobs[i].original;
		d->recipients[i] = (struct delivery_rcpt){.request = &requests[i],
		    .sender = e->sender,
		    .delivered_to = e->jobs[i].delivered_to};
		jobs[i] = (struct maildir_job){.recipient = i,
		    .target = {.directory = arena_cstr(d->arena, e->jobs[i].directory),
			.hostname = arena_cstr(d->arena, e->hostname),
			.copy_flags = e->copy_flags,
			.limit = e->limit}};
		why_init(&whys[i]);
	}
	CLEANUP(buf_free) struct buf found = BUF_INIT(FOUND_MAX);
	if (!find_first(d->arena, e, &found))
		maildir_deliver(d, jobs, whys, e->jobs_count);
	errand_report_write(report, whys, e->jobs_count);
	buf_add_str(report, buf_str(&found));
	for (uint32_t i = 0; i < e->jobs_count; i++)
		why_free(&whys[i]);
	free(d->recipients);
	free(requests);
	free(whys);
	free(jobs);
	return buf_ok(report);
}

/* The queue file is closed before the report: its lock goes with the last descriptor. */
static bool serve(struct str packet, int fd)
{
	CLEANUP(buf_free) struct buf report = BUF_INIT(REPORT_MAX);
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(ERRAND_ARENA);
	struct delivery d = {.arena = a};
	struct scribe_errand e;
	if (!scribe_errand_read(packet, a, &e) || e.jobs_count == 0 ||
	    queue_file_take(&d.file, fd) != 0)
		return false;
	d.envelope.content_offset = e.content_offset;
	bool done = run_errand(&d, &e, &report);
	queue_file_close(&d.file);
	return done &&
	    send(CHILD_FD, report.p, report.len, MSG_NOSIGNAL) == (ssize_t)report.len;
}

static int be_scribe(UNUSED void *argument)
{
	char *bytes = memory_alloc(PACKET_MAX);
	ssize_t got;
	int fd;
	while ((got = receive_errand(bytes, &fd)) > 0)
		if (!serve((struct str){bytes, (size_t)got}, fd))
			return 1;
	return 0;
}

/* --- the agent --- */

static void end_scribe(void)
{
	int status;
	if (scribe.pid == 0)
		return;
	run_watch_free(scribe.watch);
	file_close(&scribe.fd);
	as_user_end(scribe.pid);
	(void)!child_wait(scribe.pid, CLOCK_NEVER, &status);
	scribe.pid = 0;
	scribe.watch = NULL;
}

static bool start_scribe(void)
{
	const struct timeval patience = {.tv_sec = BLOCKED_SECONDS};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	const int fds[] = {-1, -1, -1, pair[1]};
	pid_t pid = as_user_start(&scribe.user,
	    &(struct child_plan){
		.function = be_scribe,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
	    });
	file_close(&pair[1]);
	if (pid < 0 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) !=
		0) {
		file_close(&pair[0]);
		return false;
	}
	scribe.pid = pid;
	scribe.fd = pair[0];
	scribe.watch = run_watch_new(scribe.fd);
	if (scribe.report == NULL)
		scribe.report = memory_alloc(REPORT_MAX);
	return true;
}

static bool is_last_user(const struct as_user *user)
{
	return scribe.user.switch_ids && scribe.user.uid == user->uid &&
	    scribe.user.gid == user->gid;
}

static bool write_errand(
    struct buf *out, const struct delivery *d, const struct scribe_jobs *jobs)
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
	    &(struct scribe_errand){
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
	union control control = {0};
	struct iovec data = {(void *)(uintptr_t)packet.p, packet.len};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &queue_fd, sizeof(queue_fd));
	return sendmsg(scribe.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)packet.len;
}

/* The report's length; 0 when the scribe died, or -ETIMEDOUT. It comes within
 * milliseconds, and this process has nothing else to do: only a late one is waited for on
 * the loop, which takes more calls and keeps the watchdog quiet. */
static ssize_t receive_report(int64_t deadline)
{
	ssize_t got = recv(scribe.fd, scribe.report, REPORT_MAX, 0);
	while (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		int error = run_wait_readable(scribe.watch, deadline);
		if (error != 0)
			return error;
		got = recv(scribe.fd, scribe.report, REPORT_MAX, MSG_DONTWAIT);
	}
	return got > 0 ? got : 0;
}

/* What it did before it failed is not known: all are tried again. */
static void scribe_failed(const struct scribe_jobs *jobs, ssize_t result, int64_t seconds)
{
	for (size_t i = 0; i < jobs->count; i++)
		(void)(result == -ETIMEDOUT
			? why_later(&jobs->whys[i], "4.3.0",
			      "delivery process took more than %lld seconds",
			      (long long)seconds)
			: why_later(&jobs->whys[i], "4.3.0", "delivery process died"));
	end_scribe();
}

bool scribe_deliver(const struct as_user *user, struct delivery *d,
    const struct scribe_jobs *jobs, int64_t seconds)
{
	CLEANUP(buf_free) struct buf packet = BUF_INIT(PACKET_MAX);
	if (!user->switch_ids)
		return false;
	if (!is_last_user(user)) {
		end_scribe();
		scribe.user = *user;
		return false;
	}
	if (!write_errand(&packet, d, jobs) || (scribe.pid == 0 && !start_scribe()))
		return false;
	if (!send_errand(buf_str(&packet), d->file.fd)) {
		end_scribe();
		return false;
	}
	ssize_t got = receive_report(deadline_after_seconds(seconds));
	if (got > 0) {
		struct str rest = errand_report_read(
		    (struct str){scribe.report, (size_t)got}, jobs->whys, jobs->count);
		if (jobs->found != NULL)
			buf_add_str(jobs->found, rest);
	} else
		scribe_failed(jobs, got, seconds);
	return true;
}
